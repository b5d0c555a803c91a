import { connect } from "node:http2";
import type { TlsIdentity } from "./node-identity.js";

/** Codes of gRPC statuses that are used here. */
export const STATUS = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  unauthenticated: 16,
};

/** An answer: its status, and its message if all was well. */
export interface GrpcAnswer {
  status: number;
  message: string;
  body: Buffer;
}

/** A protobuf field of bytes, or of a string. */
export function bytesField(number: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.of((number << 3) | 2, ...length), bytes]);
}

/** A field of a protobuf message: a number, or bytes. */
export interface Field {
  number: number;
  value: number | Buffer;
}

/** The fields of a protobuf message, in their order. */
export function fields(message: Buffer): Field[] {
  const list: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("the message is cut off");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 128) return value;
      shift += 7;
    }
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const kind = key & 7;
    if (kind === 0) list.push({ number, value: varint() });
    else {
      const length = kind === 2 ? varint() : kind === 5 ? 4 : 8;
      list.push({ number, value: message.subarray(at, at + length) });
      at += length;
    }
  }
  return list;
}

/** The first field of a number that holds bytes. */
export function bytesOf(message: Buffer, number: number): Buffer | undefined {
  const field = fields(message).find((one) => one.number === number);
  return field && typeof field.value !== "number" ? field.value : undefined;
}

/** The first field of a number that holds a number; 0 if it is absent, as proto3 says. */
export function numberOf(message: Buffer, number: number): number {
  const field = fields(message).find((one) => one.number === number);
  return field && typeof field.value === "number" ? field.value : 0;
}

/** Makes one unary call over HTTP/2 with mutual TLS, as the given node or, with none, without a certificate. */
export function call(
  endpoint: string,
  path: string,
  message: Buffer,
  identity?: TlsIdentity,
): Promise<GrpcAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://${endpoint}`, {
      ...(identity ? { cert: identity.cert, key: identity.key } : {}),
      minVersion: "TLSv1.3",
      // Whose server it is does not matter to these tests: they are about what it refuses.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      servername: "",
    });
    const timer = setTimeout(() => finish(() => reject(new Error(`no answer from ${endpoint}`))), 15_000);
    const finish = (how: () => void): void => {
      clearTimeout(timer);
      session.destroy();
      how();
    };
    session.on("error", (error: Error) => finish(() => reject(error)));
    session.on("close", () => finish(() => reject(new Error(`${endpoint} closed the connection`))));
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let headers: Record<string, unknown> = {};
    const note = (more: Record<string, unknown>): void => void (headers = { ...headers, ...more });
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", (error: Error) => finish(() => reject(error)));
    stream.on("end", () =>
      finish(() =>
        resolve({
          status: Number(headers["grpc-status"] ?? -1),
          message: decodeURIComponent(String(headers["grpc-message"] ?? "")),
          body: Buffer.concat(chunks).subarray(5),
        }),
      ),
    );
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  });
}
