import { describe, expect, test } from "vitest";
import { StatsTracker, type RawStat } from "../src/stats";

function video(fields: Partial<RawStat>): RawStat {
  return { id: "v", type: "inbound-rtp", kind: "video", ssrc: 7, mid: "3", ...fields };
}

describe("deltas", () => {
  test("the first reading counts from the connection's beginning, later ones from the last", () => {
    const tracker = new StatsTracker();
    expect(tracker.advance([video({ packetsReceived: 40, bytesReceived: 4_000 })])).toMatchObject({
      rxPackets: 40,
      rxBytes: 4_000,
    });
    expect(tracker.advance([video({ packetsReceived: 100, bytesReceived: 9_000 })])).toMatchObject({
      rxPackets: 60,
      rxBytes: 5_000,
    });
  });

  test("a counter that starts again counts from nothing, never backwards", () => {
    const tracker = new StatsTracker();
    tracker.advance([video({ packetsReceived: 1_000, framesDecoded: 100 })]);
    expect(tracker.advance([video({ packetsReceived: 20, framesDecoded: 3 })])).toMatchObject({
      rxPackets: 20,
      framesDecoded: 3,
    });
  });

  test("another SSRC under the same id is another stream", () => {
    const tracker = new StatsTracker();
    tracker.advance([video({ packetsReceived: 1_000 })]);
    expect(tracker.advance([video({ ssrc: 8, packetsReceived: 1_200 })]).rxPackets).toBe(1_200);
  });

  test("a stream that is missing from one reading is not counted twice", () => {
    const tracker = new StatsTracker();
    tracker.advance([video({ packetsReceived: 100 })]);
    expect(tracker.advance([]).rxPackets).toBe(0);
    expect(tracker.advance([video({ packetsReceived: 130 })]).rxPackets).toBe(30);
  });

  test("what retransmission brought back is not lost, and loss that turns out as reordering is not negative", () => {
    const tracker = new StatsTracker();
    expect(tracker.advance([video({ packetsLost: 10, retransmittedPacketsReceived: 4 })]).rxLost).toBe(6);
    expect(tracker.advance([video({ packetsLost: 8, retransmittedPacketsReceived: 4 })]).rxLost).toBe(0);
    // More retransmissions than losses: padding of a bandwidth probe. It repairs nothing.
    expect(tracker.advance([video({ packetsLost: 9, retransmittedPacketsReceived: 50 })]).rxLost).toBe(0);
  });

  test("repair of one stream does not make up for losses of another", () => {
    const delta = new StatsTracker().advance([
      video({ packetsLost: 0, retransmittedPacketsReceived: 30 }),
      { id: "a", type: "inbound-rtp", kind: "audio", ssrc: 9, packetsReceived: 90, packetsLost: 10 },
    ]);
    expect(delta.rxLost).toBe(10);
  });

  test("round trip is of the selected pair, else of RTCP; jitter is the mean over streams with packets", () => {
    const tracker = new StatsTracker();
    const streams: RawStat[] = [
      video({ packetsReceived: 10, jitter: 0.01 }),
      { id: "a", type: "inbound-rtp", kind: "audio", ssrc: 9, packetsReceived: 10, jitter: 0.02 },
      { id: "idle", type: "inbound-rtp", kind: "audio", ssrc: 10, packetsReceived: 0, jitter: 0.9 },
      { id: "r", type: "remote-inbound-rtp", roundTripTime: 0.08, fractionLost: 0.25 },
    ];
    expect(tracker.advance(streams)).toMatchObject({ rttMs: 80, txLoss: 0.25 });
    const pairs: RawStat[] = [
      { id: "t", type: "transport", selectedCandidatePairId: "p2" },
      { id: "p1", type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.5 },
      { id: "p2", type: "candidate-pair", currentRoundTripTime: 0.03 },
    ];
    const delta = new StatsTracker().advance([...streams, ...pairs]);
    expect(delta.rttMs).toBeCloseTo(30);
    expect(delta.jitterMs).toBeCloseTo(15);
  });

  test("sent bytes are RTP with headers", () => {
    const tracker = new StatsTracker();
    const out = (bytes: number, headers: number): RawStat[] => [
      { id: "o", type: "outbound-rtp", ssrc: 4, bytesSent: bytes, headerBytesSent: headers },
    ];
    tracker.advance(out(100, 10));
    expect(tracker.advance(out(1_100, 110)).txBytes).toBe(1_100);
  });
});
