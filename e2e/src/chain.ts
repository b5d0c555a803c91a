import { blake2b } from "@noble/hashes/blake2.js";
import { post } from "./json-rpc.js";

/*
 * Reads the chain with nothing of the project's own code in between: runtime APIs by `state_call`, balances by their
 * storage key, both at the finalised head.
 */

/** Root of a tree, as the chain has it. */
export interface Root {
  hash: string;
  leaves: number;
}

export const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;
export const unhex = (text: string): Buffer => Buffer.from(text.replace(/^0x/, ""), "hex");

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** SCALE compact length, up to 2^14 − 1 entries. */
function compact(bytes: Buffer): { value: number; size: number } {
  const first = bytes[0] ?? 0;
  return first % 4 === 0 ? { value: first >> 2, size: 1 } : { value: bytes.readUInt16LE(0) >> 2, size: 2 };
}

function root(bytes: Buffer): Root {
  return { hash: hex(bytes.subarray(0, 32)), leaves: bytes.readUInt32LE(32) };
}

/** twox-128 of `System` and of `Account`. */
const ACCOUNTS = "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** The 32 bytes of an SS58 address, of a 32-byte hex text, or of an EVM address (padded as the chain does). */
export function accountBytes(account: string): Buffer {
  if (account.startsWith("0x")) {
    const bytes = unhex(account);
    return bytes.length === 20 ? Buffer.concat([bytes, Buffer.alloc(12, 0xee)]) : bytes;
  }
  let value = 0n;
  for (const character of account) value = value * 58n + BigInt(ALPHABET.indexOf(character));
  const bytes = unhex(value.toString(16).padStart(70, "0"));
  // Prefix of one byte, the account, a checksum of two.
  return bytes.subarray(bytes.length - 34, bytes.length - 2);
}

/** A node of the chain. */
export class Chain {
  readonly url: string;

  constructor(ws: string) {
    this.url = ws.replace(/^ws/, "http");
  }

  /** Hash of the finalised head. */
  head(): Promise<string> {
    return post<string>(this.url, "chain_getFinalizedHead", []);
  }

  /** Number of the finalised head. */
  async finalised(): Promise<number> {
    const header = await post<{ number: string }>(this.url, "chain_getHeader", [await this.head()]);
    return Number(header.number);
  }

  /** Number of the best block. */
  async best(): Promise<number> {
    return Number((await post<{ number: string }>(this.url, "chain_getHeader", [])).number);
  }

  /** Hash of the first block. */
  genesis(): Promise<string> {
    return post<string>(this.url, "chain_getBlockHash", [0]);
  }

  async #call(method: string, args: Buffer): Promise<Buffer> {
    return unhex(
      await post<string>(this.url, "state_call", [`ChroomApi_${method}`, hex(args), await this.head()]),
    );
  }

  /** The current epoch's number. */
  async epoch(): Promise<number> {
    return (await this.#call("epoch_info", Buffer.alloc(0))).readUInt32LE(0);
  }

  /** Start of an epoch, Unix ms. */
  async epochStart(epoch: number): Promise<number | undefined> {
    const bytes = await this.#call("epoch_start_ms", u32(epoch));
    return bytes[0] === 1 ? Number(bytes.readBigUInt64LE(1)) : undefined;
  }

  /** The committee of a node in an epoch. */
  async committee(epoch: number, node: string): Promise<string[]> {
    const bytes = await this.#call("committee", Buffer.concat([u32(epoch), unhex(node)]));
    const { value, size } = compact(bytes);
    return Array.from({ length: value }, (_, index) =>
      hex(bytes.subarray(size + index * 20, size + index * 20 + 20)),
    );
  }

  /** The root that an attestor sent for an epoch. */
  async attestation(epoch: number, attestor: string): Promise<Root | undefined> {
    const bytes = await this.#call("attestation", Buffer.concat([u32(epoch), unhex(attestor)]));
    return bytes[0] === 1 ? root(bytes.subarray(1)) : undefined;
  }

  /** The final registry snapshot of an epoch. */
  async snapshot(epoch: number): Promise<{ epoch: number; root: Root; votes: number } | undefined> {
    const bytes = await this.#call("snapshot", u32(epoch));
    if (bytes[0] !== 1) return undefined;
    return { epoch: bytes.readUInt32LE(1), root: root(bytes.subarray(5)), votes: bytes.readUInt32LE(41) };
  }

  /** Free balance of an account, in the smallest unit. */
  async free(account: string): Promise<bigint> {
    const bytes = accountBytes(account);
    const key = `0x${ACCOUNTS}${Buffer.from(blake2b(bytes, { dkLen: 16 })).toString("hex")}${bytes.toString("hex")}`;
    const value = await post<string | null>(this.url, "state_getStorage", [key, await this.head()]);
    if (value === null) return 0n;
    const info = unhex(value);
    // Nonce, consumers, providers, sufficients: four times u32; then the free balance, u128.
    return info.readBigUInt64LE(16) + (info.readBigUInt64LE(24) << 64n);
  }
}
