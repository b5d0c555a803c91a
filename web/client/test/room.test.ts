import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectionError, PermissionError, SessionError, TokenError } from "../src/errors";
import { LocalTrack } from "../src/local-track";
import type { PublishedMid, SubscribedMid } from "../src/protocol";
import { Room } from "../src/room";
import type { RoomOptions, RoomState } from "../src/room-events";
import { FakeOrchestrator, FakePeer, capture, node, person, track } from "./fakes";

let orchestrator: FakeOrchestrator;

function make(options: RoomOptions = {}): Room {
  return new Room({
    socket: orchestrator.open,
    peer: () => new FakePeer() as unknown as RTCPeerConnection,
    ...options,
  });
}

async function joined(options: RoomOptions = {}): Promise<Room> {
  const room = make(options);
  const connecting = room.connect("ws://o", "token");
  await vi.advanceTimersByTimeAsync(50);
  await connecting;
  FakePeer.last.become("connected");
  return room;
}

const settle = (ms = 60) => vi.advanceTimersByTimeAsync(ms);
const subscribed = (call: Record<string, unknown> | undefined) => call?.subscribe as SubscribedMid[];

// WebCrypto works on threads of its own, for which fake time does not wait.
const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
  "sign",
  "verify",
]);
const raw = await crypto.subtle.exportKey("raw", pair.publicKey);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  orchestrator = new FakeOrchestrator();
  FakePeer.all = [];
  vi.spyOn(crypto.subtle, "generateKey").mockResolvedValue(pair);
  vi.spyOn(crypto.subtle, "exportKey").mockResolvedValue(raw);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("joining", () => {
  test("a room with people in it is subscribed to by the first offer", async () => {
    orchestrator.participants = [
      person("a", track("a-v"), track("a-a", "audio")),
      person("me", track("own")),
    ];
    const seen: string[] = [];
    const room = make();
    room.on("trackSubscribed", ({ id, media }) => media && seen.push(id));
    const connecting = room.connect("ws://o", "token");
    await settle();
    await connecting;
    expect([...room.participants.keys()]).toEqual(["a"]);
    expect(orchestrator.of("session.negotiate")).toHaveLength(1);
    expect(subscribed(orchestrator.of("session.negotiate")[0]).map((one) => one.track)).toEqual([
      "a-v",
      "a-a",
    ]);
    expect(seen).toEqual(["a-v", "a-a"]);
    expect(FakePeer.last.channels.map(({ label }) => label)).toEqual(["chroom", "chroom-lossy"]);
  });

  test("an expired token ends it with the orchestrator's words", async () => {
    orchestrator.refuse["session.join"] = {
      code: -32002,
      message: "the access token expired",
      data: { reason: "token-expired", hint: "Get a new one." },
    };
    const room = make();
    const connecting = room.connect("ws://o", "token").catch((error: unknown) => error);
    await settle();
    const error = await connecting;
    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({ slug: "token-expired", hint: "Get a new one." });
    expect(room.state).toBe("closed");
  });

  test("without the grant nothing is published and nothing asked", async () => {
    const room = await joined();
    (room.grants as { publish: boolean }).publish = false;
    await expect(room.publish(capture("camera"))).rejects.toBeInstanceOf(PermissionError);
    expect(orchestrator.of("session.negotiate")).toHaveLength(1);
  });
});

describe("m-lines", () => {
  test("a freed m-line is used again without a negotiation", async () => {
    orchestrator.participants = [person("a", track("a-v"))];
    const room = await joined();
    const offers = FakePeer.last.offers;
    orchestrator.event({ type: "trackUnpublished", participant: "a", track: "a-v" });
    await settle();
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toEqual([{ mid: "1", track: "" }]);
    orchestrator.event({ type: "trackPublished", participant: "a", track: track("a-v2") });
    await settle();
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toEqual([{ mid: "1", track: "a-v2" }]);
    expect(FakePeer.last.offers).toBe(offers);
    expect(room.participants.get("a")?.tracks.get("a-v2")?.media).toBeDefined();
  });

  test("many new tracks at once make one negotiation", async () => {
    await joined();
    const offers = FakePeer.last.offers;
    for (let n = 0; n < 10; n += 1) {
      orchestrator.event({
        type: "participantJoined",
        participant: person(`p${n}`, track(`v${n}`), track(`a${n}`, "audio")),
      });
    }
    await settle(200);
    expect(FakePeer.last.offers - offers).toBeLessThanOrEqual(2);
    const last = subscribed(orchestrator.of("session.negotiate").at(-1));
    expect(last).toHaveLength(20);
    expect(new Set(last.map(({ mid }) => mid)).size).toBe(20);
  });

  test("an event during a negotiation is not lost", async () => {
    orchestrator.participants = [person("a", track("a-v"))];
    const room = make();
    const connecting = room.connect("ws://o", "token");
    await vi.advanceTimersByTimeAsync(6);
    orchestrator.event({ type: "trackPublished", participant: "a", track: track("late", "audio") });
    await settle(200);
    await connecting;
    expect(subscribed(orchestrator.of("session.negotiate").at(-1)).map((one) => one.track)).toContain("late");
  });

  test("by choice: nothing unless asked, and the height goes with it", async () => {
    orchestrator.participants = [person("a", track("a-v"))];
    const room = await joined({ autoSubscribe: false });
    expect(subscribed(orchestrator.of("session.negotiate")[0])).toEqual([]);
    const video = room.participants.get("a")!.tracks.get("a-v")!;
    room.subscribe(video, { maxHeight: 180 });
    await settle();
    expect(subscribed(orchestrator.of("session.negotiate").at(-1))).toEqual([
      { mid: "1", track: "a-v", maxHeight: 180 },
    ]);
    room.subscribe(video, { maxHeight: 360 });
    await settle();
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toEqual([
      { mid: "1", track: "a-v", maxHeight: 360 },
    ]);
    room.subscribe(video, { maxHeight: 0 });
    await settle();
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toEqual([{ mid: "1", track: "a-v" }]);
    room.unsubscribe(video);
    await settle();
    expect(video.media).toBeUndefined();
  });

  test("a priority is told when it changes, kept over a move, and leaves the height as it was", async () => {
    orchestrator.participants = [person("a", track("a-v"), track("a-s", "audio"))];
    const room = await joined({ maxHeight: 360 });
    const video = room.participants.get("a")!.tracks.get("a-v")!;
    expect(video.priority).toBe("medium");
    room.subscribe(video, { priority: "high" });
    await settle();
    const pinned = { mid: "1", track: "a-v", maxHeight: 360, priority: "high" };
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toEqual([pinned]);
    const told = orchestrator.of("session.subscribe").length;
    room.subscribe(video, { priority: "high" });
    room.subscribe(video);
    await settle();
    expect(orchestrator.of("session.subscribe").length).toBe(told);

    orchestrator.event({ type: "moved", node: node("0x02"), generation: 2, reason: "drains" });
    await settle();
    expect(subscribed(orchestrator.of("session.negotiate").at(-1))).toContainEqual(pinned);
    room.subscribe(video, { priority: "medium" });
    await settle();
    expect(subscribed(orchestrator.of("session.subscribe").at(-1))).toContainEqual({
      mid: "1",
      track: "a-v",
      maxHeight: 360,
    });
  });

  test("what the line does not carry is known, and forgotten with the connection", async () => {
    orchestrator.participants = [person("a", track("a-v"), track("a-w"))];
    const room = await joined();
    const paused: [string, boolean][] = [];
    room.on("trackPaused", (one) => paused.push([one.id, one.paused]));
    orchestrator.event({ type: "videosPaused", tracks: ["a-w", "unknown"] });
    orchestrator.event({ type: "videosPaused", tracks: ["a-w"] });
    orchestrator.event({ type: "videosPaused", tracks: ["a-v"] });
    await settle();
    expect(paused).toEqual([
      ["a-w", true],
      ["a-v", true],
      ["a-w", false],
    ]);
    orchestrator.event({ type: "moved", node: node("0x02"), generation: 2, reason: "drains" });
    await settle();
    expect(room.participants.get("a")!.tracks.get("a-v")!.paused).toBe(false);
  });

  test("publishing names its m-line once and keeps the id that it was given", async () => {
    const room = await joined();
    const publishing = room.publish(capture("microphone"), capture("camera"));
    await settle();
    const [microphone, camera] = await publishing;
    expect(orchestrator.of("session.negotiate").at(-1)?.publish).toEqual([
      { mid: "1", source: "microphone" },
      { mid: "2", source: "camera" },
    ]);
    expect([microphone!.id, camera!.id]).toEqual(["t1", "t2"]);
    const ending = room.unpublish(camera!);
    await settle();
    await ending;
    expect(orchestrator.of("session.unpublish")).toEqual([{ track: "t2" }]);
    const again = room.publish(capture("camera"));
    await settle();
    expect((await again)[0]!.id).toBe("t3");
    expect(orchestrator.of("session.negotiate").at(-1)?.publish).toEqual([
      { mid: "1", track: "t1", source: "microphone" },
      { mid: "2", source: "camera" },
    ]);
    expect(FakePeer.last.transceivers).toHaveLength(2);
  });
});

describe("demand", () => {
  const active = () =>
    FakePeer.last.transceivers[0]!.encodings.map(({ rid, active }) => `${rid} ${active ?? true}`);

  test("layers that nobody watches are not sent, and are again when someone does", async () => {
    const room = await joined();
    const publishing = room.publish(capture("camera"));
    await settle();
    const [camera] = await publishing;
    const rids = FakePeer.last.transceivers[0]!.encodings.map(({ rid }) => rid!);
    expect(rids.length).toBeGreaterThan(1);
    const told = (layers: string[], paused: boolean, track = camera!.id!) =>
      orchestrator.event({ type: "layersWanted", track, layers, paused });
    told([rids[0]!], false);
    await settle();
    expect(active()).toEqual(rids.map((rid, index) => `${rid} ${index === 0}`));
    told([], true, "someone else's");
    await settle();
    expect(active()[0]).toBe(`${rids[0]} true`);
    // Two in one turn: the last one holds.
    told([], true);
    told(rids, false);
    await settle();
    expect(active()).toEqual(rids.map((rid) => `${rid} true`));
    told([], true);
    await settle();
    expect(active()).toEqual(rids.map((rid) => `${rid} false`));
    // Another track on the same m-line has not been judged yet.
    const ending = room.unpublish(camera!);
    await settle();
    await ending;
    const again = room.publish(capture("camera"));
    await settle();
    await again;
    expect(FakePeer.last.transceivers).toHaveLength(1);
    expect(active()).toEqual(rids.map((rid) => `${rid} true`));
  });
});

describe("failures", () => {
  test("after a move: a new connection, the same tracks and subscriptions", async () => {
    orchestrator.participants = [person("a", track("a-v"))];
    const room = await joined();
    const publishing = room.publish(capture("microphone"));
    await settle();
    await publishing;
    const old = FakePeer.last;
    // It noticed already: there is nothing to go on with.
    old.become("disconnected");
    const before = room.participants.get("a")!.tracks.get("a-v")!.media;
    const states: RoomState[] = [];
    room.on("state", ({ state }) => states.push(state));
    orchestrator.event({
      type: "moved",
      node: node("0x02"),
      generation: 2,
      reason: "the media node is lost",
    });
    await settle();
    FakePeer.last.become("connected");
    expect(FakePeer.last).not.toBe(old);
    expect(old.closed).toBe(true);
    const last = orchestrator.of("session.negotiate").at(-1)!;
    expect((last.publish as PublishedMid[]).map(({ track: id }) => id)).toEqual(["t1"]);
    expect(subscribed(last).map((one) => one.track)).toEqual(["a-v"]);
    expect(room.participants.get("a")!.tracks.get("a-v")!.media).not.toBe(before);
    expect(room.node?.id).toBe("0x02");
    expect(states).toEqual(["moving", "connected"]);
    orchestrator.event({ type: "moved", node: node("0x01"), generation: 1, reason: "late and out of date" });
    await settle();
    expect(room.node?.id).toBe("0x02");
  });

  describe("a move from a node that drains", () => {
    const moved = () =>
      orchestrator.event({
        type: "moved",
        node: node("0x02"),
        generation: 2,
        reason: "the media node drains",
      });

    test("shows each track from the old node until it comes from the new one", async () => {
      orchestrator.participants = [person("a", track("a-v"), track("a-a", "audio"))];
      const room = await joined();
      const tracks = room.participants.get("a")!.tracks;
      const [video, audio] = [tracks.get("a-v")!, tracks.get("a-a")!];
      const [shown, heard] = [video.media, audio.media];
      const old = FakePeer.last;
      old.channels[0]!.open();
      moved();
      await settle();
      const next = FakePeer.last;
      expect(next).not.toBe(old);
      expect([old.closed, video.media, audio.media]).toEqual([false, shown, heard]);
      room.send("meanwhile");
      expect(old.channels[0]!.sent).toHaveLength(1);

      next.become("connected");
      next.channels[0]!.open();
      room.send("then");
      expect(next.channels[0]!.sent).toHaveLength(1);
      const [newVideo, newAudio] = next.transceivers.map(({ receiver }) => receiver.track);
      newVideo!.muted = newAudio!.muted = false;
      await settle();
      expect(video.media, "no picture was decoded yet").toBe(shown);
      expect(audio.media).toBe(newAudio);
      next.decoded.set(newVideo, 1);
      await settle();
      expect(video.media).toBe(newVideo);
      expect(old.closed, "others may have what we publish from there only").toBe(false);
      await settle(4_000);
      expect([old.closed, next.closed, room.state]).toEqual([true, false, "connected"]);
    });

    test("ends with what there is when the old node ends it, and with the call", async () => {
      orchestrator.participants = [person("a", track("a-v"))];
      const room = await joined();
      const old = FakePeer.last;
      moved();
      await settle();
      old.become("failed");
      await settle();
      expect(old.closed).toBe(true);
      expect(room.participants.get("a")!.tracks.get("a-v")!.media).toBe(
        FakePeer.last.transceivers[0]!.receiver.track,
      );

      FakePeer.last.become("connected");
      orchestrator.event({ type: "moved", node: node("0x03"), generation: 3, reason: "this one, too" });
      await settle();
      const leaving = room.leave();
      await settle(3_000);
      await leaving;
      expect(FakePeer.all.map(({ closed }) => closed)).toEqual([true, true, true]);
    });

    test("what is muted or unpublished meanwhile is so on both", async () => {
      const room = await joined();
      const publishing = room.publish(capture("microphone"), capture("camera"));
      await settle();
      const [microphone, camera] = await publishing;
      const old = FakePeer.last;
      moved();
      await settle();
      const muting = room.mute(microphone!, true);
      const ending = room.unpublish(camera!);
      await settle();
      await Promise.all([muting, ending]);
      const sending = (peer: FakePeer) => peer.transceivers.map(({ sender }) => sender.track);
      expect(sending(old)[1]).toBeNull();
      expect(sending(FakePeer.last)[1]).toBeNull();
      expect(sending(old)[0]).toBe(sending(FakePeer.last)[0]);
    });
  });

  test("a lost orchestrator is found again; media is left alone and the room's changes are caught up with", async () => {
    orchestrator.participants = [person("a", track("a-v")), person("b")];
    const room = await joined();
    const link = FakePeer.last;
    const left: string[] = [];
    room.on("participantLeft", ({ participant }) => left.push(participant.id));
    orchestrator.unreachable = true;
    orchestrator.sockets.at(-1)!.drop();
    await settle(2_000);
    expect(room.state).toBe("reconnecting");
    orchestrator.participants = [person("a", track("a-v")), person("c", track("c-v"))];
    orchestrator.unreachable = false;
    await settle(8_000);
    expect(orchestrator.of("session.resume")).toEqual([{ session: "s1", secret: "secret" }]);
    expect(room.state).toBe("connected");
    expect(FakePeer.last).toBe(link);
    expect(left).toEqual(["b"]);
    expect(room.participants.get("c")?.tracks.get("c-v")?.media).toBeDefined();
  });

  test("a session that the orchestrator forgot is joined anew, and all is published again", async () => {
    const room = await joined();
    const publishing = room.publish(capture("microphone"));
    await settle();
    const [microphone] = await publishing;
    orchestrator.refuse["session.resume"] = { code: -32005, message: "no such session" };
    orchestrator.sockets.at(-1)!.drop();
    await settle(3_000);
    expect(orchestrator.of("session.join")).toHaveLength(2);
    expect(room.sessionId).toBe("s2");
    expect(orchestrator.of("session.negotiate").at(-1)?.publish).toEqual([
      { mid: "1", source: "microphone" },
    ]);
    expect(microphone!.id).toBe("t2");
    FakePeer.last.become("connected");
    expect(room.state).toBe("connected");
  });

  test("an orchestrator that stays away ends the room with the reason", async () => {
    const room = await joined({ reconnectForMs: 10_000 });
    const closed = vi.fn();
    room.on("closed", closed);
    orchestrator.unreachable = true;
    orchestrator.sockets.at(-1)!.drop();
    await settle(60_000);
    expect(closed).toHaveBeenCalledOnce();
    expect(closed.mock.calls[0]![0]).toMatchObject({ error: expect.any(ConnectionError) });
  });

  test("a failed media connection is mended by an ICE restart, then by a new one", async () => {
    const room = await joined();
    const first = FakePeer.last;
    first.become("failed");
    await settle();
    expect(first.iceRestarts).toBe(1);
    expect(room.state).toBe("moving");
    await settle(10_000);
    expect(FakePeer.last).not.toBe(first);
    FakePeer.last.become("connected");
    expect(room.state).toBe("connected");
    const offers = FakePeer.last.offers;
    await settle(30_000);
    expect(FakePeer.last.offers).toBe(offers);
  });

  test("a short disconnection is waited out", async () => {
    await joined();
    FakePeer.last.become("disconnected");
    await settle(2_000);
    FakePeer.last.become("connected");
    await settle(10_000);
    expect(FakePeer.last.iceRestarts).toBe(0);
  });

  test("while the media node refuses, negotiation is tried again", async () => {
    const room = await joined();
    orchestrator.refuse["session.negotiate"] = { code: -32006, message: "the media node is lost" };
    const warned = vi.fn();
    room.on("warning", warned);
    const publishing = room.publish(capture("microphone"));
    await settle(1_500);
    expect(warned).toHaveBeenCalled();
    orchestrator.refuse["session.negotiate"] = undefined;
    await settle(5_000);
    expect((await publishing)[0]!.id).toBe("t1");
  });
});

describe("publications", () => {
  const microphone = async (room: Room): Promise<LocalTrack> => {
    const publishing = room.publish(capture("microphone"));
    await settle();
    return (await publishing)[0]!;
  };
  const stops = (media: MediaStreamTrack) => vi.mocked(media).stop.mock.calls.length;
  const ended = () => orchestrator.of("session.unpublish");

  test("one that ends while the orchestrator is away is told of after the reconnect, once", async () => {
    const room = await joined();
    const track = await microphone(room);
    orchestrator.unreachable = true;
    orchestrator.sockets.at(-1)!.drop();
    await settle(500);
    await room.unpublish(track);
    expect(stops(track.media)).toBe(1);
    expect(ended()).toEqual([]);
    orchestrator.unreachable = false;
    await settle(8_000);
    expect(ended()).toEqual([{ track: "t1" }]);
    expect(orchestrator.of("session.negotiate").at(-1)?.publish).toEqual([]);
    orchestrator.sockets.at(-1)!.drop();
    await settle(8_000);
    expect(ended()).toHaveLength(1);
  });

  test("one whose end got no answer is told of again, whether it was heard or not", async () => {
    const room = await joined();
    const track = await microphone(room);
    const ending = room.unpublish(track);
    orchestrator.sockets.at(-1)!.drop();
    await ending;
    expect(ended()).toHaveLength(1);
    orchestrator.refuse["session.unpublish"] = { code: -32602, message: "t1 is not a track of this session" };
    const warned = vi.fn();
    room.on("warning", warned);
    await settle(8_000);
    expect(ended()).toEqual([{ track: "t1" }, { track: "t1" }]);
    expect(warned).not.toHaveBeenCalled();
    orchestrator.sockets.at(-1)!.drop();
    await settle(8_000);
    expect(ended()).toHaveLength(2);
  });

  test("a refusal is the caller's to know, and a new session knows nothing of the old one's tracks", async () => {
    const room = await joined();
    const [first, second] = [await microphone(room), await microphone(room)];
    orchestrator.refuse["session.unpublish"] = { code: -32603, message: "out of order" };
    const ending = room.unpublish(first).catch((error: unknown) => error);
    await settle();
    expect(await ending).toMatchObject({ message: "out of order" });
    orchestrator.refuse = { "session.resume": { code: -32005, message: "no such session" } };
    orchestrator.sockets.at(-1)!.drop();
    await settle(1);
    await room.unpublish(second);
    await settle(8_000);
    expect(orchestrator.of("session.join")).toHaveLength(2);
    expect(ended()).toHaveLength(1);
  });

  test("one that ends while it is negotiated is told of by the id that it got", async () => {
    const room = await joined();
    const publishing = room.publish(capture("microphone"));
    while (orchestrator.of("session.negotiate").length < 2) await settle(0);
    const [track] = room.published;
    await room.unpublish(track!);
    await settle();
    await publishing;
    expect(track!.id).toBeUndefined();
    expect(ended()).toEqual([{ track: "t1" }]);
  });

  test("a device that opens after the room was left is let go", async () => {
    const room = await joined();
    const { track: media } = capture("camera");
    let open!: (stream: MediaStream) => void;
    const getUserMedia = vi.fn(() => new Promise<MediaStream>((resolve) => (open = resolve)));
    vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
    const publishing = room.publishCamera().catch((error: unknown) => error);
    const leaving = room.leave();
    await settle();
    await leaving;
    expect(stops(media)).toBe(0);
    open({ getTracks: () => [media] } as unknown as MediaStream);
    expect(await publishing).toBeInstanceOf(SessionError);
    expect(stops(media)).toBe(1);
    // After that nothing is even asked for.
    await expect(room.publishMicrophone()).rejects.toBeInstanceOf(SessionError);
    expect(getUserMedia).toHaveBeenCalledOnce();
  });

  test("a muted camera that opens again too late is let go", async () => {
    const devices: { media: MediaStreamTrack; open: () => void }[] = [];
    const again = () =>
      new Promise<MediaStreamTrack>((resolve) => {
        const media = capture("camera").track;
        devices.push({ media, open: () => resolve(media) });
      });
    const first = capture("camera");
    const local = new LocalTrack({ ...first, again });
    const mute = () => {
      local.mute();
      (local.media as { readyState: string }).readyState = "ended";
    };
    mute();
    const late = local.unmute();
    // Muted once more while the device opens, then unmuted with another.
    local.mute();
    const wanted = local.unmute();
    devices.forEach(({ open }) => open());
    await Promise.all([late, wanted]);
    expect(devices.map(({ media }) => stops(media))).toEqual([1, 0]);
    expect([local.muted, local.media]).toEqual([false, devices[1]!.media]);
    mute();
    const after = local.unmute();
    local.stop();
    devices.at(-1)!.open();
    await after;
    expect(stops(devices.at(-1)!.media)).toBe(1);
    expect(local.muted).toBe(true);
    // Once stopped it stays so.
    await local.unmute();
    expect(devices).toHaveLength(3);
  });
});

describe("messages", () => {
  test("reliable ones wait for the channel, lossy ones do not", async () => {
    const room = await joined();
    room.send("early");
    room.send("gone", { reliable: false });
    const [reliable, lossy] = FakePeer.last.channels;
    reliable!.open();
    lossy!.open();
    room.send("late");
    expect(reliable!.sent.map((bytes) => new TextDecoder().decode(bytes))).toEqual(["early", "late"]);
    expect(lossy!.sent).toEqual([]);
    expect(() => room.send(new Uint8Array(16 * 1024 + 1))).toThrow(/too large/);
  });

  test("come with their sender", async () => {
    orchestrator.participants = [person("a")];
    const room = await joined();
    const heard: unknown[] = [];
    room.on("message", ({ sender, participant, payload, reliable }) =>
      heard.push([sender, participant?.name, new TextDecoder().decode(payload), reliable]),
    );
    const data = Uint8Array.from([1, 97, 104, 105]).buffer;
    FakePeer.last.channels[0]!.onmessage?.({ data });
    FakePeer.last.channels[1]!.onmessage?.({ data });
    FakePeer.last.channels[0]!.onmessage?.({ data: "text" });
    expect(heard).toEqual([
      ["a", "A", "hi", true],
      ["a", "A", "hi", false],
    ]);
  });
});
