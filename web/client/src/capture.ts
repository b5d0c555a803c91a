import { CaptureError } from "./errors.js";
import type { Source } from "./protocol.js";

/** What to ask of a camera. */
export interface CameraOptions {
  /** Lines; the width follows 16:9. Default 720. */
  height?: number;
  frameRate?: number;
  deviceId?: string;
}

/** A track, and how to get it again after it was stopped. */
export interface Capture {
  source: Source;
  track: MediaStreamTrack;
  /** Absent if the track cannot be captured again without asking the person. */
  again?: () => Promise<MediaStreamTrack>;
}

const HINTS: Record<string, { slug: string; hint: string }> = {
  NotAllowedError: {
    slug: "capture-denied",
    hint: "Allow this page to use the device in the browser's settings.",
  },
  NotFoundError: { slug: "capture-no-device", hint: "Connect a device, or join without it." },
  NotReadableError: { slug: "capture-busy", hint: "Close the other program that uses the device." },
  OverconstrainedError: { slug: "capture-unsupported", hint: "Choose a lower resolution or another device." },
};

function explain(device: string, error: unknown): CaptureError {
  const name = error instanceof Error ? error.name : "";
  const known = HINTS[name];
  return new CaptureError(
    known?.slug ?? "capture-failed",
    `cannot use the ${device}: ${error instanceof Error ? error.message : String(error)}`,
    known?.hint ?? "Check the device and the browser's settings.",
    { cause: error },
  );
}

async function one(device: string, constraints: MediaStreamConstraints): Promise<MediaStreamTrack> {
  // Outside a secure context the browser has no mediaDevices at all, whatever the type says.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) {
    throw new CaptureError(
      "capture-insecure",
      `cannot use the ${device}: this page was not loaded securely`,
      "Open the page over https or from localhost.",
    );
  }
  try {
    const track = (await devices.getUserMedia(constraints)).getTracks()[0];
    if (!track) throw new Error("the browser gave no track");
    return track;
  } catch (error) {
    throw explain(device, error);
  }
}

/** Opens the camera. */
export async function camera(options: CameraOptions = {}): Promise<Capture> {
  const height = options.height ?? 720;
  const again = () =>
    one("camera", {
      video: {
        height: { ideal: height },
        width: { ideal: Math.round((height * 16) / 9) },
        frameRate: { ideal: options.frameRate ?? 30 },
        ...(options.deviceId === undefined ? {} : { deviceId: { exact: options.deviceId } }),
      },
    });
  return { source: "camera", track: await again(), again };
}

/** Opens the microphone. */
export async function microphone(
  options: { deviceId?: string; processing?: boolean } = {},
): Promise<Capture> {
  const processing = options.processing ?? true;
  const again = () =>
    one("microphone", {
      audio: {
        echoCancellation: processing,
        noiseSuppression: processing,
        autoGainControl: processing,
        ...(options.deviceId === undefined ? {} : { deviceId: { exact: options.deviceId } }),
      },
    });
  return { source: "microphone", track: await again(), again };
}

/** Asks the person for a screen or window, with its sound where the browser offers that. */
export async function screen(): Promise<Capture[]> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { ideal: 15 } },
      audio: true,
    });
  } catch (error) {
    throw explain("screen", error);
  }
  return stream.getTracks().map((track) => {
    if (track.kind === "video") track.contentHint = "detail";
    return { source: track.kind === "video" ? "screen" : "screen-audio", track };
  });
}
