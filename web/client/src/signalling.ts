import { ConnectionError, TimeoutError, fromRpc, type ChroomError, type RpcErrorObject } from "./errors.js";
import type {
  NegotiateResult,
  PublishedMid,
  SessionEvent,
  SessionInfo,
  SubscribedMid,
  NodeInfo,
} from "./protocol.js";

/** The part of `WebSocket` that is used, so that tests can put something else in its place. */
export interface Socket {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
}

/** Opens a socket. */
export type SocketFactory = (url: string) => Socket;

/** Methods with their parameters and results. */
export interface Methods {
  "session.events": { params: Record<string, never>; result: unknown };
  "session.join": { params: { token: string; receiptKey: string; cell?: string }; result: SessionInfo };
  "session.resume": { params: { session: string; secret: string }; result: SessionInfo };
  "session.negotiate": {
    params: { sdp: string; publish: PublishedMid[]; subscribe: SubscribedMid[] };
    result: NegotiateResult;
  };
  "session.subscribe": { params: { subscribe: SubscribedMid[] }; result: unknown };
  "session.mute": { params: { track: string; muted: boolean }; result: unknown };
  "session.unpublish": { params: { track: string }; result: unknown };
  "session.receipt": { params: { payload: string; signature: string }; result: unknown };
  "session.leave": { params: Record<string, never>; result: unknown };
  "room.kick": { params: { participant: string }; result: unknown };
  "node.info": { params: Record<string, never>; result: NodeInfo };
}

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: ChroomError) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Longest message that is taken from the orchestrator, in characters. */
const MAX_INCOMING = 4 * 1024 * 1024;

/** One WebSocket to an orchestrator, speaking JSON-RPC 2.0. It is not reopened: a new one takes its place. */
export class Signalling {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #open = true;

  /** Called for each event of the session. */
  onevent: (event: SessionEvent) => void = () => undefined;
  /** Called once when the connection is lost; not after `close`. */
  onlost: (error: ConnectionError) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = (event) =>
      this.#lose(
        new ConnectionError(
          "connection-lost",
          `the connection to the orchestrator was closed (${event.code}${event.reason ? `: ${event.reason}` : ""})`,
          "It is opened again by itself; check the network if that takes long.",
        ),
      );
    socket.onerror = null;
  }

  /** Opens the connection and subscribes to the session's events. */
  static async open(
    url: string,
    factory: SocketFactory = (address) => new WebSocket(address),
    timeoutMs = 10_000,
  ): Promise<Signalling> {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const fail = (message: string) =>
        reject(
          new ConnectionError(
            "unreachable",
            message,
            "Check the orchestrator's address, the network, and whether a proxy blocks WebSockets.",
          ),
        );
      let opened: Socket;
      try {
        opened = factory(url);
      } catch (error) {
        fail(`${url} is no address of an orchestrator: ${String(error)}`);
        return;
      }
      const timer = setTimeout(() => {
        opened.onclose = null;
        opened.close();
        fail(`no answer from the orchestrator at ${url} within ${timeoutMs / 1000} s`);
      }, timeoutMs);
      opened.onopen = () => {
        clearTimeout(timer);
        resolve(opened);
      };
      opened.onclose = () => {
        clearTimeout(timer);
        fail(`cannot reach the orchestrator at ${url}`);
      };
    });
    const signalling = new Signalling(socket);
    try {
      await signalling.call("session.events", {});
    } catch (error) {
      signalling.close();
      throw error;
    }
    return signalling;
  }

  /** Whether the connection is still there. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends a request and waits for its answer. */
  call<Name extends keyof Methods>(
    method: Name,
    params: Methods[Name]["params"],
    timeoutMs = 15_000,
  ): Promise<Methods[Name]["result"]> {
    return new Promise<Methods[Name]["result"]>((resolve, reject) => {
      if (!this.#open) {
        reject(
          new ConnectionError(
            "connection-lost",
            "not connected to the orchestrator",
            "Wait for the reconnect.",
          ),
        );
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(
          new TimeoutError(
            "no-answer",
            `the orchestrator did not answer ${method} within ${timeoutMs / 1000} s`,
            "It may be overloaded; try again.",
          ),
        );
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Closes the connection; requests without an answer fail. */
  close(): void {
    this.onlost = () => undefined;
    this.#lose(new ConnectionError("closed", "the connection was closed by this client", ""));
    this.#socket.close(1000, "leaving");
  }

  #lose(error: ConnectionError): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
    this.onlost(error);
  }

  #receive(data: unknown): void {
    if (typeof data !== "string" || data.length > MAX_INCOMING) return;
    let message: unknown;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    for (const one of Array.isArray(message) ? (message as unknown[]) : [message]) this.#handle(one);
  }

  #handle(message: unknown): void {
    if (typeof message !== "object" || message === null) return;
    const fields = message as {
      id?: unknown;
      method?: unknown;
      result?: unknown;
      error?: RpcErrorObject;
      params?: { result?: unknown };
    };
    if (fields.method === "session.event") {
      const event = fields.params?.result;
      if (typeof event === "object" && event !== null && "type" in event) this.onevent(event as SessionEvent);
      return;
    }
    const pending = typeof fields.id === "number" ? this.#pending.get(fields.id) : undefined;
    if (!pending) return;
    this.#pending.delete(fields.id as number);
    clearTimeout(pending.timer);
    if (fields.error) pending.reject(fromRpc(fields.error));
    else pending.resolve(fields.result);
  }
}
