import { toBase64Url } from "./base64url.js";

/** What a receipt says; the order of fields is that of the signed text. See docs/signalling.md. */
export interface ReceiptBody {
  v: 1;
  /** Session id, 32 hex digits. */
  session: string;
  /** Media node, `0x…`. */
  node: string;
  /** 1, 2, 3, … per session. */
  seq: number;
  /** Interval, Unix ms. */
  from: number;
  to: number;
  rxPackets: number;
  /** Lost for good, after repair. */
  rxLost: number;
  rxBytes: number;
  txBytes: number;
  rttMs: number;
  jitterMs: number;
  /** 0 if unknown. */
  wantedKbps: number;
  deliveredKbps: number;
  framesDecoded: number;
  freezeMs: number;
}

/** A receipt as it is sent. */
export interface SignedReceipt {
  /** The exact text that was signed. */
  payload: string;
  /** r ‖ s, base64url. */
  signature: string;
}

/** Longest interval that a receipt may cover. */
export const MAX_INTERVAL_MS = 60_000;

const FIELDS = [
  "v",
  "session",
  "node",
  "seq",
  "from",
  "to",
  "rxPackets",
  "rxLost",
  "rxBytes",
  "txBytes",
  "rttMs",
  "jitterMs",
  "wantedKbps",
  "deliveredKbps",
  "framesDecoded",
  "freezeMs",
] as const satisfies readonly (keyof ReceiptBody)[];

/** The text of a receipt: its fields in their order, all numbers whole and not negative. */
export function receiptPayload(body: ReceiptBody): string {
  const ordered: Record<string, string | number> = {};
  for (const field of FIELDS) {
    const value = body[field];
    ordered[field] =
      typeof value === "number" ? Math.max(0, Math.round(Number.isFinite(value) ? value : 0)) : value;
  }
  return JSON.stringify(ordered);
}

/** SEC1 compressed form of a point given uncompressed (0x04 ‖ x ‖ y). */
export function compressPoint(uncompressed: Uint8Array): Uint8Array<ArrayBuffer> {
  const last = uncompressed[64];
  if (uncompressed.length !== 65 || uncompressed[0] !== 4 || last === undefined) {
    throw new RangeError("an uncompressed P-256 point has 65 bytes, the first of them 4");
  }
  const compressed = new Uint8Array(33);
  compressed[0] = 2 | (last & 1);
  compressed.set(uncompressed.subarray(1, 33), 1);
  return compressed;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A key pair of one session alone. The private key cannot be taken out of the browser's key store. */
export class SessionKey {
  private constructor(
    readonly pair: CryptoKeyPair,
    /** SEC1 compressed public key, 33 bytes. */
    readonly publicKey: Uint8Array<ArrayBuffer>,
  ) {}

  /** A new random key. */
  static async generate(): Promise<SessionKey> {
    return SessionKey.from(await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]));
  }

  /** Takes over a pair that exists. */
  static async from(pair: CryptoKeyPair): Promise<SessionKey> {
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return new SessionKey(pair, compressPoint(raw));
  }

  /** The public key as `session.join` wants it. */
  get encoded(): string {
    return toBase64Url(this.publicKey);
  }

  /** Signs a receipt. */
  async sign(body: ReceiptBody): Promise<SignedReceipt> {
    const payload = receiptPayload(body);
    const signature = await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      this.pair.privateKey,
      new TextEncoder().encode(payload),
    );
    return { payload, signature: toBase64Url(new Uint8Array(signature)) };
  }
}
