import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromBase64Url, toBase64Url } from "../src/base64url";
import { ConnectionError, ReceiptError } from "../src/errors";
import {
  SessionKey,
  compressPoint,
  receiptPayload,
  type ReceiptBody,
  type SignedReceipt,
} from "../src/receipt";
import { ReceiptLedger } from "../src/receipts";
import type { RawStat } from "../src/stats";

const SESSION = "00112233445566778899aabbccddeeff";
const NODE = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";

async function verifies(receipt: SignedReceipt, key: SessionKey): Promise<boolean> {
  return crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    key.pair.publicKey,
    fromBase64Url(receipt.signature),
    new TextEncoder().encode(receipt.payload),
  );
}

function inbound(packets: number, lost: number, bytes: number): RawStat[] {
  return [
    {
      id: "in",
      type: "inbound-rtp",
      kind: "video",
      ssrc: 1,
      packetsReceived: packets,
      packetsLost: lost,
      bytesReceived: bytes,
      framesDecoded: packets,
      jitter: 0.004,
    },
    { id: "transport", type: "transport", selectedCandidatePairId: "pair" },
    { id: "pair", type: "candidate-pair", currentRoundTripTime: 0.0214 },
  ];
}

describe("receipt", () => {
  test("the key's compressed form is what another implementation makes of the same point", async () => {
    // The base point of P-256 (SEC 2, 2.4.2): y is odd, so its compressed form begins with 3.
    const x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    const point = Uint8Array.from(Buffer.from(`04${x}${y}`, "hex"));
    expect(Buffer.from(compressPoint(point)).toString("hex")).toBe(`03${x}`);
    expect(() => compressPoint(point.subarray(1))).toThrow(RangeError);
    const key = await SessionKey.generate();
    expect(fromBase64Url(key.encoded)).toHaveLength(33);
    expect(key.pair.privateKey.extractable).toBe(false);
  });

  test("base64url has no padding and comes back", () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = crypto.getRandomValues(new Uint8Array(length));
      expect(toBase64Url(bytes)).toMatch(/^[A-Za-z0-9_-]*$/);
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
    }
  });

  test("the shared vector: field order, key and signature agree with the Rust side", async () => {
    const file = new URL("../../../rpc/vectors/receipt.json", import.meta.url);
    const vector = JSON.parse(readFileSync(file, "utf8")) as {
      receiptKey: string;
      body: ReceiptBody;
      receipt: SignedReceipt;
    };
    expect(receiptPayload(vector.body)).toBe(vector.receipt.payload);
    const compressed = Uint8Array.from(Buffer.from(vector.receiptKey, "hex"));
    expect(compressed).toHaveLength(33);
    const publicKey = await crypto.subtle.importKey(
      "raw",
      decompress(compressed),
      { name: "ECDSA", namedCurve: "P-256" },
      true,
      ["verify"],
    );
    const uncompressed = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    expect(compressPoint(uncompressed)).toEqual(compressed);
    await expect(
      crypto.subtle.verify(
        { name: "ECDSA", hash: "SHA-256" },
        publicKey,
        fromBase64Url(vector.receipt.signature),
        new TextEncoder().encode(vector.receipt.payload),
      ),
    ).resolves.toBe(true);
  });

  test("all numbers in the text are whole and not negative", () => {
    const text = receiptPayload({
      v: 1,
      session: SESSION,
      node: NODE,
      seq: 1,
      from: 1_000.4,
      to: 6_000.6,
      rxPackets: 10,
      rxLost: -3,
      rxBytes: 99.5,
      txBytes: Number.NaN,
      rttMs: 20.49,
      jitterMs: 1.5,
      wantedKbps: 0,
      deliveredKbps: Number.POSITIVE_INFINITY,
      framesDecoded: 1,
      freezeMs: 0.2,
    });
    const body = JSON.parse(text) as Record<string, unknown>;
    for (const value of Object.values(body)) {
      if (typeof value === "number") expect(Number.isInteger(value) && value >= 0).toBe(true);
    }
    expect(body).toMatchObject({ rxLost: 0, rttMs: 20, jitterMs: 2, txBytes: 0, deliveredKbps: 0 });
  });
});

describe("ledger", () => {
  test("receipts are numbered without gaps, joined end to end, and verify", async () => {
    const key = await SessionKey.generate();
    const ledger = new ReceiptLedger(SESSION, key);
    ledger.begin(1_000);
    const first = await ledger.close(NODE, 6_000, inbound(500, 5, 500_000));
    const second = await ledger.close(NODE, 11_000, inbound(900, 5, 900_000));
    const bodies = [first, second].map((receipt) => JSON.parse(receipt!.payload) as ReceiptBody);
    expect(bodies[0]).toMatchObject({
      seq: 1,
      from: 1_000,
      to: 6_000,
      rxPackets: 500,
      rxLost: 5,
      rttMs: 21,
      jitterMs: 4,
    });
    expect(bodies[0]!.deliveredKbps).toBe(800);
    expect(bodies[1]).toMatchObject({
      seq: 2,
      from: 6_000,
      to: 11_000,
      rxPackets: 400,
      rxLost: 0,
      rxBytes: 400_000,
    });
    await expect(verifies(first!, key)).resolves.toBe(true);
    await expect(verifies({ ...second!, payload: first!.payload }, key)).resolves.toBe(false);
  });

  test("nothing is claimed of an idle interval, of sleep, or of a clock that went back", async () => {
    const ledger = new ReceiptLedger(SESSION, await SessionKey.generate());
    ledger.begin(1_000);
    expect(await ledger.close(NODE, 6_000, inbound(0, 0, 0))).toBeUndefined();
    expect(await ledger.close(NODE, 70_000, inbound(100, 0, 1_000))).toBeUndefined();
    expect(await ledger.close(NODE, 69_000, inbound(200, 0, 2_000))).toBeUndefined();
    const receipt = await ledger.close(NODE, 74_000, inbound(300, 0, 3_000));
    expect(JSON.parse(receipt!.payload)).toMatchObject({ seq: 1, from: 69_000, to: 74_000, rxPackets: 100 });
  });

  test("a new media connection starts its counts anew", async () => {
    const ledger = new ReceiptLedger(SESSION, await SessionKey.generate());
    ledger.begin(0);
    await ledger.close(NODE, 5_000, inbound(500, 0, 5_000));
    ledger.begin(7_000);
    const receipt = await ledger.close("0x01", 12_000, inbound(80, 1, 800));
    expect(JSON.parse(receipt!.payload)).toMatchObject({
      seq: 2,
      node: "0x01",
      from: 7_000,
      rxPackets: 80,
      rxLost: 1,
    });
  });

  test("receipts wait while the orchestrator is away and are sent in order; a refused one is not sent again", async () => {
    const ledger = new ReceiptLedger(SESSION, await SessionKey.generate());
    ledger.begin(0);
    for (let n = 1; n <= 3; n += 1) await ledger.close(NODE, n * 5_000, inbound(n * 100, 0, n * 1_000));
    const refused = (error: unknown) => error instanceof ReceiptError;
    await ledger.flush(() => Promise.reject(new ConnectionError("connection-lost", "", "")), refused);
    expect(ledger.waiting).toBe(3);
    const seen: number[] = [];
    await ledger.flush(async ({ payload }) => {
      const { seq } = JSON.parse(payload) as ReceiptBody;
      seen.push(seq);
      if (seq === 2) throw new ReceiptError("receipt-refused", "too late", "");
    }, refused);
    expect(seen).toEqual([1, 2, 3]);
    expect(ledger.waiting).toBe(0);
  });

  test("only the newest receipts are kept through a long outage", async () => {
    const ledger = new ReceiptLedger(SESSION, await SessionKey.generate());
    ledger.begin(0);
    for (let n = 1; n <= 20; n += 1) await ledger.close(NODE, n * 5_000, inbound(n * 100, 0, n * 1_000));
    expect(ledger.waiting).toBe(12);
    const seen: number[] = [];
    await ledger.flush(
      async ({ payload }) => void seen.push((JSON.parse(payload) as ReceiptBody).seq),
      () => false,
    );
    expect(seen[0]).toBe(9);
    expect(seen.at(-1)).toBe(20);
  });
});

/** Uncompressed form of a compressed P-256 point, for engines that import no compressed ones. */
function decompress(compressed: Uint8Array): Uint8Array<ArrayBuffer> {
  const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
  const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
  const hex = (value: bigint) => value.toString(16).padStart(64, "0");
  const x = BigInt(`0x${Buffer.from(compressed.subarray(1)).toString("hex")}`);
  const square = (((x * x * x - 3n * x + b) % p) + p) % p;
  let y = 1n;
  let base = square;
  for (let exponent = (p + 1n) / 4n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) y = (y * base) % p;
    base = (base * base) % p;
  }
  if ((y & 1n) !== BigInt((compressed[0] ?? 0) & 1)) y = p - y;
  return Uint8Array.from(Buffer.from(`04${hex(x)}${hex(y)}`, "hex"));
}
