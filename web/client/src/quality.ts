import type { Delta, StreamDelta } from "./stats.js";

/** Quality of one received track in the last interval. */
export interface TrackQuality {
  kbps: number;
  /** 0 to 1. */
  loss: number;
  jitterMs: number;
  fps: number;
  width: number;
  height: number;
  framesDecoded: number;
  /** 0 to 1; audio only. */
  audioLevel: number;
}

/** Quality of the connection in the last interval. */
export interface Quality {
  /** Unix ms at the end of the interval. */
  at: number;
  rxKbps: number;
  txKbps: number;
  /** Share of the packets towards us that were lost for good, 0 to 1. */
  rxLoss: number;
  /** Share of our packets that were lost on their way, 0 to 1. */
  txLoss: number;
  rttMs: number;
  jitterMs: number;
  /** Frames decoded per second, all videos together. */
  fps: number;
  freezeMs: number;
  /** By track id. */
  tracks: Map<string, TrackQuality>;
}

/** Puts one interval's figures into the shape of the event. */
export function quality(
  delta: Delta,
  at: number,
  intervalMs: number,
  trackOf: (stream: StreamDelta) => string | undefined,
): Quality {
  const seconds = Math.max(intervalMs, 1) / 1000;
  const tracks = new Map<string, TrackQuality>();
  for (const stream of delta.streams) {
    const id = trackOf(stream);
    if (id === undefined) continue;
    tracks.set(id, {
      kbps: (stream.bytes * 8) / 1000 / seconds,
      loss: share(stream.lost, stream.packets),
      jitterMs: stream.jitterMs,
      fps: stream.framesDecoded / seconds,
      width: stream.width,
      height: stream.height,
      framesDecoded: stream.framesDecoded,
      audioLevel: stream.audioLevel,
    });
  }
  return {
    at,
    rxKbps: (delta.rxBytes * 8) / 1000 / seconds,
    txKbps: (delta.txBytes * 8) / 1000 / seconds,
    rxLoss: share(delta.rxLost, delta.rxPackets),
    txLoss: delta.txLoss,
    rttMs: delta.rttMs,
    jitterMs: delta.jitterMs,
    fps: delta.framesDecoded / seconds,
    freezeMs: delta.freezeMs,
    tracks,
  };
}

function share(lost: number, received: number): number {
  const all = lost + received;
  return all === 0 ? 0 : lost / all;
}
