import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectionError, MediaNodeError, PermissionError, TimeoutError, TokenError } from "../src/errors";
import type { SessionEvent } from "../src/protocol";
import { Signalling, type Socket } from "../src/signalling";

class FakeSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  sent: { id: number; method: string; params: unknown }[] = [];
  closed = false;
  send(data: string): void {
    const request = JSON.parse(data) as { id: number; method: string; params: unknown };
    this.sent.push(request);
    if (request.method === "session.events") this.deliver({ jsonrpc: "2.0", id: request.id, result: 5 });
  }
  close(): void {
    this.closed = true;
  }
  deliver(message: unknown): void {
    const data = typeof message === "string" ? message : JSON.stringify(message);
    queueMicrotask(() => this.onmessage?.({ data } as MessageEvent));
  }
  drop(code = 1006): void {
    this.onclose?.({ code, reason: "" } as CloseEvent);
  }
}

async function open(): Promise<{ socket: FakeSocket; signalling: Signalling }> {
  const socket = new FakeSocket();
  const opening = Signalling.open("ws://x", () => socket);
  socket.onopen?.({} as Event);
  return { socket, signalling: await opening };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("signalling", () => {
  test("events are subscribed to first, and delivered", async () => {
    const { socket, signalling } = await open();
    expect(socket.sent[0]).toMatchObject({ method: "session.events", params: {} });
    const seen: SessionEvent[] = [];
    signalling.onevent = (event) => seen.push(event);
    const event = { type: "activeSpeakers", participants: ["a"] };
    socket.deliver({ jsonrpc: "2.0", method: "session.event", params: { subscription: 5, result: event } });
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual([event]);
  });

  test("answers find their requests in any order", async () => {
    const { socket, signalling } = await open();
    const a = signalling.call("session.mute", { track: "a", muted: true });
    const b = signalling.call("session.unpublish", { track: "b" });
    const [, first, second] = socket.sent;
    socket.deliver({ jsonrpc: "2.0", id: second!.id, result: "b" });
    socket.deliver({ jsonrpc: "2.0", id: first!.id, result: "a" });
    await expect(Promise.all([a, b])).resolves.toEqual(["a", "b"]);
  });

  test("rubbish is ignored", async () => {
    const { socket, signalling } = await open();
    for (const rubbish of [
      "{",
      "null",
      "7",
      "[]",
      '{"id":999,"result":1}',
      '{"method":"session.event"}',
      "[null]",
    ]) {
      socket.deliver(rubbish);
    }
    await vi.advanceTimersByTimeAsync(0);
    expect(signalling.open).toBe(true);
  });

  test.each([
    [-32001, "token-invalid", TokenError],
    [-32002, "token-expired", TokenError],
    [-32003, "not-permitted", PermissionError],
    [-32004, "no-media-node", MediaNodeError],
    [-32006, "media-node-failed", MediaNodeError],
    [-32009, "price-limit", MediaNodeError],
  ])("error %i is %s with a hint", async (code, slug, type) => {
    const { socket, signalling } = await open();
    const call = signalling.call("session.leave", {});
    const { id } = socket.sent[1]!;
    socket.deliver({
      jsonrpc: "2.0",
      id,
      error: { code, message: "why", data: { needs: "publish", hint: "do this" } },
    });
    const error = await call.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ slug, hint: "do this", message: "why" });
    if (error instanceof PermissionError) expect(error.needs).toBe("publish");
  });

  test("a request without an answer ends in time", async () => {
    const { signalling } = await open();
    const call = signalling.call("node.info", {}, 3_000);
    const failed = expect(call).rejects.toBeInstanceOf(TimeoutError);
    await vi.advanceTimersByTimeAsync(3_000);
    await failed;
  });

  test("a lost connection fails what waits, once, and says so", async () => {
    const { socket, signalling } = await open();
    const lost = vi.fn();
    signalling.onlost = lost;
    const call = signalling.call("node.info", {});
    const failed = expect(call).rejects.toBeInstanceOf(ConnectionError);
    socket.drop();
    await failed;
    expect(lost).toHaveBeenCalledOnce();
    await expect(signalling.call("node.info", {})).rejects.toBeInstanceOf(ConnectionError);
  });

  test("closing on purpose is no loss", async () => {
    const { socket, signalling } = await open();
    const lost = vi.fn();
    signalling.onlost = lost;
    signalling.close();
    expect(socket.closed).toBe(true);
    expect(lost).not.toHaveBeenCalled();
  });

  test("an orchestrator that does not answer is reported with a hint", async () => {
    const opening = Signalling.open("ws://x", () => new FakeSocket(), 2_000);
    const failed = expect(opening).rejects.toMatchObject({ slug: "unreachable" });
    await vi.advanceTimersByTimeAsync(2_000);
    await failed;
  });
});
