import assert from "node:assert/strict";
import { post } from "../json-rpc.js";
import { until } from "../until.js";
import type { ZombieNode } from "./zombie.js";

/** What a run of a network has shown so far; each line is printed as it is known. */
export type Note = (line: string) => void;

/** Waits until each node sees a block of this number as final. */
export async function finalised(nodes: ZombieNode[], number: number, ms = 240_000): Promise<void> {
  await Promise.all(
    nodes.map(({ name, chain }) =>
      until(
        `${name} sees block ${number} as final`,
        ms,
        async () => (await chain.finalised()) >= number,
        1_000,
      ),
    ),
  );
}

/** Waits until some more blocks are final. */
export async function moreFinal(nodes: ZombieNode[], blocks: number, ms = 240_000): Promise<number> {
  const heads = await Promise.all(nodes.map(({ chain }) => chain.finalised()));
  const number = Math.max(...heads) + blocks;
  await finalised(nodes, number, ms);
  return number;
}

/** All nodes have the same block of this number. */
export async function agree(nodes: ZombieNode[], number: number): Promise<string> {
  const hashes = await Promise.all(
    nodes.map(({ chain }) => post<string>(chain.url, "chain_getBlockHash", [number])),
  );
  const [first] = hashes;
  assert.ok(first);
  assert.ok(
    hashes.every((hash) => hash === first),
    `block ${number} differs: ${hashes.join(", ")}`,
  );
  return first;
}

/** Place in the list of authorities of who authored a block: BABE's claim in the header's digest. */
export async function author({ chain }: ZombieNode, number: number): Promise<number> {
  const hash = await post<string>(chain.url, "chain_getBlockHash", [number]);
  const header = await post<{ digest: { logs: string[] } }>(chain.url, "chain_getHeader", [hash]);
  for (const log of header.digest.logs) {
    const bytes = Buffer.from(log.slice(2), "hex");
    // PreRuntime, "BABE", a compact length below 2^14, the claim's kind, the place.
    if (bytes[0] !== 6 || bytes.subarray(1, 5).toString() !== "BABE") continue;
    const length = (bytes[5] ?? 0) % 4 === 0 ? 1 : 2;
    return bytes.readUInt32LE(5 + length + 1);
  }
  throw new Error(`block ${number} has no claim of BABE`);
}
