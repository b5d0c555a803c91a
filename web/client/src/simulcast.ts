import type { Source } from "./protocol.js";

/** Layers of a camera: rid, divisor of the resolution, bit rate at 720p and 30 frames/s. Lowest first. */
const LAYERS = [
  { rid: "q", divisor: 4, bitrate: 150_000 },
  { rid: "h", divisor: 2, bitrate: 500_000 },
  { rid: "f", divisor: 1, bitrate: 1_700_000 },
] as const;

const FULL_PIXELS = 1280 * 720;
/**
 * Heights from which on there are three layers, and two. Chromium sends no more than that, whatever it is asked for, and would leave
 * out the best ones.
 */
const THREE_LAYERS = 540;
const TWO_LAYERS = 270;

/** Bit rate follows the number of pixels to the power ¾: small pictures need more bits per pixel. */
function scaled(bitrate: number, width: number, height: number): number {
  const factor = Math.pow((width * height) / FULL_PIXELS, 0.75);
  return Math.round(Math.min(Math.max(bitrate * factor, 60_000), 4_000_000));
}

/** What an m-line of this source is sent with. */
export function encodings(
  source: Source,
  settings: { width?: number; height?: number },
): RTCRtpEncodingParameters[] {
  const width = settings.width ?? 1280;
  const height = settings.height ?? 720;
  switch (source) {
    case "microphone":
      return [{ maxBitrate: 40_000, priority: "high", networkPriority: "high" }];
    case "screen-audio":
      return [{ maxBitrate: 96_000 }];
    case "screen":
      return [{ maxBitrate: 2_500_000, maxFramerate: 15 }];
    case "camera": {
      const layers = LAYERS.slice(height >= THREE_LAYERS ? 0 : height >= TWO_LAYERS ? 1 : 2);
      return layers.map((layer) => ({
        rid: layer.rid,
        scaleResolutionDownBy: layer.divisor,
        maxBitrate: scaled(layer.bitrate, width, height),
        // Media nodes drop frame rate before size where a line gets narrow.
        scalabilityMode: "L1T3",
        active: true,
      }));
    }
  }
}
