import { webcrypto } from "node:crypto";
import WebSocket from "ws";
import { RpcError } from "./json-rpc.js";

/** What `session.join` answers, as far as it is used here. */
export interface Joined {
  session: string;
  secret: string;
  participant: string;
  node: { id: string };
  grants: { publish: boolean; subscribe: boolean; admin: boolean };
}

/** A bare client of the orchestrator's signalling: for what the SDK would not do. */
export class Signalling {
  /** The session's events so far. */
  readonly events: Record<string, unknown>[] = [];
  #next = 1;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as {
        id?: number;
        method?: string;
        params?: { result?: Record<string, unknown> };
        result?: unknown;
        error?: { code: number; message: string; data?: Record<string, unknown> };
      };
      if (message.method === "session.event" && message.params?.result)
        this.events.push(message.params.result);
      const pending = message.id === undefined ? undefined : this.#pending.get(message.id);
      if (!pending) return;
      const { error } = message;
      if (error) pending.reject(new RpcError(error.code, error.message, error.data ?? {}));
      else pending.resolve(message.result);
    });
    socket.on("close", () => {
      for (const { reject } of this.#pending.values())
        reject(new Error("the orchestrator closed the connection"));
    });
  }

  static async open(url: string): Promise<Signalling> {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    socket.on("error", () => undefined);
    const client = new Signalling(socket);
    await client.call("session.events", {});
    return client;
  }

  call<T = unknown>(method: string, params: object): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), 15_000);
      this.#pending.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value as T);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Joins with a fresh receipt key. */
  async join(token: string, cell?: string): Promise<Joined> {
    const { publicKey } = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
      "sign",
      "verify",
    ]);
    const point = new Uint8Array(await webcrypto.subtle.exportKey("raw", publicKey));
    const compressed = Uint8Array.of(2 | ((point[64] ?? 0) & 1), ...point.subarray(1, 33));
    return this.call<Joined>("session.join", {
      token,
      receiptKey: Buffer.from(compressed).toString("base64url"),
      ...(cell === undefined ? {} : { cell }),
    });
  }

  close(): void {
    this.socket.close();
  }
}

/** The refusal that a call ends in; fails if it does not. */
export async function refusal(call: Promise<unknown>): Promise<RpcError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}
