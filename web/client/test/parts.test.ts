import { describe, expect, test } from "vitest";
import { Backoff } from "../src/backoff";
import { choose } from "../src/codecs";
import { frame, unframe } from "../src/data";
import { withStartBitrate } from "../src/start-bitrate";
import { StallWatch } from "../src/stall-watch";
import { encodings } from "../src/simulcast";

describe("data frames", () => {
  test("come back as they went", () => {
    const payload = Uint8Array.from([1, 2, 3]);
    expect(unframe(frame("pé-1", payload).buffer)).toEqual({ sender: "pé-1", payload });
    expect(unframe(frame("p", new Uint8Array()).buffer)).toEqual({ sender: "p", payload: new Uint8Array() });
  });

  test("malformed ones are dropped", () => {
    for (const bytes of [[], [0], [3, 97], [0, 1, 2], [2, 0xff, 0xfe, 1]]) {
      expect(unframe(Uint8Array.from(bytes).buffer)).toBeUndefined();
    }
  });
});

describe("simulcast", () => {
  test("a camera has three layers, lowest first, with growing bit rates", () => {
    const layers = encodings("camera", { width: 1280, height: 720 });
    expect(layers.map(({ rid }) => rid)).toEqual(["q", "h", "f"]);
    expect(layers.map(({ scaleResolutionDownBy }) => scaleResolutionDownBy)).toEqual([4, 2, 1]);
    const rates = layers.map(({ maxBitrate }) => maxBitrate ?? 0);
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
    expect(rates.at(-1)).toBe(1_700_000);
  });

  test("small pictures have fewer layers but always one", () => {
    expect(encodings("camera", { width: 640, height: 360 }).map(({ rid }) => rid)).toEqual(["h", "f"]);
    expect(encodings("camera", { width: 160, height: 80 })).toHaveLength(1);
  });

  test("screens and sound have one encoding without a rid", () => {
    for (const source of ["screen", "microphone", "screen-audio"] as const) {
      const layers = encodings(source, {});
      expect(layers).toHaveLength(1);
      expect(layers[0]!.rid).toBeUndefined();
    }
  });
});

test("waiting times double up to the most and start again after a success", () => {
  const backoff = new Backoff(100, 1_000, () => 0);
  expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  expect(backoff.next()).toBe(100);
  expect(new Backoff(100, 1_000, () => 1).next()).toBe(50);
});

describe("codecs", () => {
  test("only what media nodes forward is offered, VP8 first, with retransmission", () => {
    const codec = (mimeType: string, sdpFmtpLine?: string) => ({
      mimeType,
      clockRate: 90_000,
      ...(sdpFmtpLine === undefined ? {} : { sdpFmtpLine }),
    });
    const available = [
      codec("video/H264", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
      codec("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
      codec("video/AV1", "level-idx=5;profile=1;tier=0"),
      codec("video/AV1", "level-idx=5;profile=0;tier=0"),
      codec("video/VP9", "profile-id=2"),
      codec("video/VP9", "profile-id=0"),
      codec("video/rtx"),
      codec("video/ulpfec"),
      codec("video/VP8"),
    ];
    expect(choose("video", available).map(({ mimeType }) => mimeType)).toEqual([
      "video/VP8",
      "video/VP9",
      "video/H264",
      "video/AV1",
      "video/rtx",
    ]);
    expect(choose("video", available)[2]!.sdpFmtpLine).toContain("packetization-mode=1");
    expect(choose("video", available)[3]!.sdpFmtpLine).toContain("profile=0");
    const audio = choose("audio", [
      codec("audio/PCMU"),
      codec("audio/red"),
      codec("audio/opus", "minptime=10"),
    ]);
    expect(audio.map(({ mimeType }) => mimeType)).toEqual(["audio/opus", "audio/red"]);
  });
});

test("a track on which nothing comes is asked for again, more and more rarely, and not for ever", () => {
  const watch = new StallWatch();
  const asked: number[] = [];
  for (let second = 0; second < 400; second += 1) {
    const due = watch.due(
      new Map([
        ["silent", false],
        ["flowing", true],
      ]),
      second * 1_000,
    );
    expect(due).not.toContain("flowing");
    if (due.includes("silent")) asked.push(second);
  }
  expect(asked).toEqual([4, 12, 28, 60, 124]);
  watch.due(new Map([["silent", true]]), 400_000);
  watch.due(new Map([["silent", false]]), 401_000);
  expect(watch.due(new Map([["silent", false]]), 405_000)).toEqual(["silent"]);
});

describe("start bit rate", () => {
  const section = (direction: string) =>
    `m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n` +
    `a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1\r\na=${direction}\r\n`;
  const head = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=recvonly\r\n";

  test("is named on video that the far side receives, once per codec, and nowhere else", () => {
    const sdp = withStartBitrate(head + section("recvonly") + section("sendonly"), 899.6);
    expect(sdp.startsWith(head)).toBe(true);
    expect(sdp.endsWith(section("sendonly"))).toBe(true);
    expect(sdp.match(/x-google-start-bitrate=900/g)).toHaveLength(2);
    expect(sdp).toContain("a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=900\r\na=rtpmap:97");
    expect(sdp).toContain("a=fmtp:98 packetization-mode=1;x-google-start-bitrate=900\r\n");
    expect(sdp).toContain("a=fmtp:97 apt=96\r\n");
  });

  test("line ends stay as they are", () => {
    const plain = section("recvonly").replaceAll("\r\n", "\n");
    expect(withStartBitrate(plain, 500)).not.toContain("\r");
    expect(
      withStartBitrate(section("recvonly"), 500)
        .split("\n")
        .slice(0, -1)
        .every((line) => line.endsWith("\r")),
    ).toBe(true);
  });
});
