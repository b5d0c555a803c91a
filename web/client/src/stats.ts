/** Differences between two readings of `getStats`, robust against streams that come, go and start again. */

/** The fields that are read from `inbound-rtp`, `outbound-rtp`, `remote-inbound-rtp` and `candidate-pair`. */
export interface RawStat {
  id: string;
  type: string;
  timestamp?: number;
  kind?: string;
  mid?: string;
  ssrc?: number;
  trackIdentifier?: string;
  packetsReceived?: number;
  packetsLost?: number;
  retransmittedPacketsReceived?: number;
  bytesReceived?: number;
  headerBytesReceived?: number;
  bytesSent?: number;
  headerBytesSent?: number;
  packetsSent?: number;
  framesDecoded?: number;
  framesPerSecond?: number;
  frameHeight?: number;
  frameWidth?: number;
  jitter?: number;
  totalFreezesDuration?: number;
  audioLevel?: number;
  roundTripTime?: number;
  fractionLost?: number;
  currentRoundTripTime?: number;
  availableOutgoingBitrate?: number;
  selectedCandidatePairId?: string;
  nominated?: boolean;
  state?: string;
  rid?: string;
}

/** What came in on one stream in an interval. */
export interface StreamDelta {
  kind: "audio" | "video";
  mid: string | undefined;
  trackIdentifier: string | undefined;
  packets: number;
  /** Lost for good: what was counted lost, less what retransmission brought. */
  lost: number;
  bytes: number;
  framesDecoded: number;
  freezeMs: number;
  jitterMs: number;
  fps: number;
  width: number;
  height: number;
  /** 0 to 1; audio only. */
  audioLevel: number;
}

/** What happened on a connection in an interval. */
export interface Delta {
  rxPackets: number;
  rxLost: number;
  /** RTP bytes with headers. */
  rxBytes: number;
  txBytes: number;
  txPackets: number;
  framesDecoded: number;
  freezeMs: number;
  /** Mean over the streams that received something. */
  jitterMs: number;
  /** Of the selected candidate pair, else of RTCP; 0 if unknown. */
  rttMs: number;
  /** Share of our packets that the far side says was lost, 0 to 1; the worst stream's. */
  txLoss: number;
  /** Estimate of what can be sent, kb/s; 0 if unknown. */
  availableKbps: number;
  streams: StreamDelta[];
}

interface Counters {
  packets: number;
  lost: number;
  repaired: number;
  bytes: number;
  frames: number;
  freezeMs: number;
  txBytes: number;
  txPackets: number;
}

const ZERO: Counters = {
  packets: 0,
  lost: 0,
  repaired: 0,
  bytes: 0,
  frames: 0,
  freezeMs: 0,
  txBytes: 0,
  txPackets: 0,
};

function counters(stat: RawStat): Counters {
  return {
    packets: stat.packetsReceived ?? 0,
    lost: stat.packetsLost ?? 0,
    repaired: stat.retransmittedPacketsReceived ?? 0,
    bytes: (stat.bytesReceived ?? 0) + (stat.headerBytesReceived ?? 0),
    frames: stat.framesDecoded ?? 0,
    freezeMs: (stat.totalFreezesDuration ?? 0) * 1000,
    txBytes: (stat.bytesSent ?? 0) + (stat.headerBytesSent ?? 0),
    txPackets: stat.packetsSent ?? 0,
  };
}

/** Growth since `before`; a counter that fell was started again, so all of it is new. */
function grown(now: number, before: number): number {
  return now >= before ? now - before : Math.max(0, now);
}

function mean(values: number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Remembers the last reading of one peer connection. */
export class StatsTracker {
  #last = new Map<string, Counters>();

  /** What happened since the last call (since the connection began, at the first). */
  advance(report: Iterable<RawStat>): Delta {
    const stats = [...report];
    const next = new Map<string, Counters>();
    const delta: Delta = {
      rxPackets: 0,
      rxLost: 0,
      rxBytes: 0,
      txBytes: 0,
      txPackets: 0,
      framesDecoded: 0,
      freezeMs: 0,
      jitterMs: 0,
      rttMs: 0,
      txLoss: 0,
      availableKbps: 0,
      streams: [],
    };
    const rtcpRtt: number[] = [];
    for (const stat of stats) {
      if (stat.type === "inbound-rtp" || stat.type === "outbound-rtp") {
        // A stream that is switched to another source keeps its id but not its SSRC.
        const key = `${stat.id}/${stat.ssrc ?? ""}`;
        const now = counters(stat);
        const before = this.#last.get(key) ?? ZERO;
        next.set(key, now);
        if (stat.type === "outbound-rtp") {
          delta.txBytes += grown(now.txBytes, before.txBytes);
          delta.txPackets += grown(now.txPackets, before.txPackets);
        } else {
          delta.streams.push(stream(stat, now, before));
        }
      } else if (stat.type === "remote-inbound-rtp") {
        if (stat.roundTripTime !== undefined) rtcpRtt.push(stat.roundTripTime * 1000);
        delta.txLoss = Math.max(delta.txLoss, stat.fractionLost ?? 0);
      }
    }
    // A stream that is missing from one reading may come back with its old counts.
    for (const [key, value] of this.#last) if (!next.has(key)) next.set(key, value);
    this.#last = next;
    for (const one of delta.streams) {
      delta.rxPackets += one.packets;
      delta.rxLost += one.lost;
      delta.rxBytes += one.bytes;
      delta.framesDecoded += one.framesDecoded;
      delta.freezeMs += one.freezeMs;
    }
    delta.jitterMs = mean(delta.streams.filter((one) => one.packets > 0).map((one) => one.jitterMs));
    const pair = selectedPair(stats);
    delta.rttMs = pair?.currentRoundTripTime !== undefined ? pair.currentRoundTripTime * 1000 : mean(rtcpRtt);
    delta.availableKbps = (pair?.availableOutgoingBitrate ?? 0) / 1000;
    return delta;
  }
}

function stream(stat: RawStat, now: Counters, before: Counters): StreamDelta {
  const lost = Math.max(0, now.lost - before.lost);
  const repaired = grown(now.repaired, before.repaired);
  return {
    kind: stat.kind === "audio" ? "audio" : "video",
    mid: stat.mid,
    trackIdentifier: stat.trackIdentifier,
    packets: grown(now.packets, before.packets),
    lost: Math.max(0, lost - repaired),
    bytes: grown(now.bytes, before.bytes),
    framesDecoded: grown(now.frames, before.frames),
    freezeMs: grown(now.freezeMs, before.freezeMs),
    jitterMs: (stat.jitter ?? 0) * 1000,
    fps: stat.framesPerSecond ?? 0,
    width: stat.frameWidth ?? 0,
    height: stat.frameHeight ?? 0,
    audioLevel: stat.audioLevel ?? 0,
  };
}

function selectedPair(stats: RawStat[]): RawStat | undefined {
  const selected = stats.find((stat) => stat.type === "transport")?.selectedCandidatePairId;
  return (
    stats.find((stat) => stat.type === "candidate-pair" && stat.id === selected) ??
    stats.find(
      (stat) => stat.type === "candidate-pair" && stat.nominated === true && stat.state === "succeeded",
    )
  );
}

/** The entries of a browser's report. */
export function entries(report: RTCStatsReport): RawStat[] {
  const list: RawStat[] = [];
  report.forEach((stat: RawStat) => list.push(stat));
  return list;
}
