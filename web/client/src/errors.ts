/** Base of all errors of this package: a stable `slug` for programs, a message and a hint for people. */
export class ChroomError extends Error {
  constructor(
    /** Stable name of the kind of failure. */
    readonly slug: string,
    message: string,
    /** What can be done about it. */
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The orchestrator cannot be reached, or the connection to it broke. */
export class ConnectionError extends ChroomError {}
/** No answer in time. */
export class TimeoutError extends ChroomError {}
/** The access token is malformed, forged, expired or not yet valid. */
export class TokenError extends ChroomError {}
/** The token does not grant what was asked for. */
export class PermissionError extends ChroomError {
  /** The right that is missing, where the orchestrator names it. */
  needs?: string;
}
/** No media node can take the session, or the one that has it failed. */
export class MediaNodeError extends ChroomError {
  /** The nodes that were considered and why each was passed over. */
  considered: { node: string; reason: string }[] = [];
}
/** The session is over or was never joined. */
export class SessionError extends ChroomError {}
/** A receipt was refused. */
export class ReceiptError extends ChroomError {}
/** Camera, microphone or screen cannot be used. */
export class CaptureError extends ChroomError {}
/** The media connection (ICE, DTLS) could not be set up. */
export class TransportError extends ChroomError {}

/** A JSON-RPC error object. */
export interface RpcErrorObject {
  code: number;
  message: string;
  data?: unknown;
}

type Class = new (slug: string, message: string, hint: string) => ChroomError;

const BY_CODE = new Map<number, { slug: string; type: Class; hint: string }>([
  [-32001, { slug: "token-invalid", type: TokenError, hint: "Ask the application for a new access token." }],
  [-32002, { slug: "token-expired", type: TokenError, hint: "Ask the application for a new access token." }],
  [
    -32003,
    {
      slug: "not-permitted",
      type: PermissionError,
      hint: "Ask the application for a token that grants this.",
    },
  ],
  [-32004, { slug: "no-media-node", type: MediaNodeError, hint: "Try again in a few seconds." }],
  [-32005, { slug: "no-session", type: SessionError, hint: "Join the room again." }],
  [-32006, { slug: "media-node-failed", type: MediaNodeError, hint: "Try again; the room may be moving." }],
  [
    -32007,
    { slug: "receipt-refused", type: ReceiptError, hint: "Check that this machine's clock is right." },
  ],
  [-32008, { slug: "too-many-requests", type: ChroomError, hint: "Wait a moment, then try again." }],
  [
    -32009,
    {
      slug: "price-limit",
      type: MediaNodeError,
      hint: "The application fills its escrow, or raises its price limit.",
    },
  ],
  [
    -32602,
    {
      slug: "wrong-parameters",
      type: ChroomError,
      hint: "Client and orchestrator may be of different versions.",
    },
  ],
]);

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function considered(value: unknown): { node: string; reason: string }[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) => {
    const fields = record(entry);
    return { node: text(fields.node) ?? text(fields.id) ?? "?", reason: text(fields.reason) ?? "" };
  });
}

/** Turns an error object of the orchestrator into the matching class. */
export function fromRpc(error: RpcErrorObject): ChroomError {
  const known = BY_CODE.get(error.code);
  const data = record(error.data);
  const slug = text(data.reason) ?? known?.slug ?? "rpc-error";
  const hint = text(data.hint) ?? known?.hint ?? "";
  const result = new (known?.type ?? ChroomError)(slug, error.message, hint);
  if (result instanceof PermissionError) {
    const needs = text(data.needs);
    if (needs !== undefined) result.needs = needs;
  }
  if (result instanceof MediaNodeError) result.considered = considered(data.considered);
  return result;
}

/** Any error as one of ours. */
export function asChroomError(error: unknown): ChroomError {
  if (error instanceof ChroomError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ChroomError("unexpected", message, "Report this, please.", { cause: error });
}
