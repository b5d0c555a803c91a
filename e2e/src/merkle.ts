import { blake2b } from "@noble/hashes/blake2.js";
import { hex, unhex, type Root } from "./chain.js";

/** A leaf of a registry snapshot. */
export interface SnapshotLeaf {
  node: string;
  seq: string | number;
  recordHash: string;
}

const hash = (...parts: Uint8Array[]): Uint8Array => blake2b(Buffer.concat(parts), { dkLen: 32 });

/** RFC 9162 §2.1 over BLAKE2b-256, written from its text: no code of the project. */
function tree(hashes: Uint8Array[]): Uint8Array {
  const [first] = hashes;
  if (first === undefined) return hash();
  if (hashes.length === 1) return first;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return hash(Uint8Array.of(1), tree(hashes.slice(0, split)), tree(hashes.slice(split)));
}

/** The root over a registry snapshot's leaves, in the order of their nodes. */
export function snapshotRoot(leaves: SnapshotLeaf[]): Root {
  const ordered = [...leaves].sort((a, b) => Buffer.compare(unhex(a.node), unhex(b.node)));
  const hashes = ordered.map(({ node, seq, recordHash }) => {
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(BigInt(seq));
    return hash(Uint8Array.of(0), unhex(node), number, unhex(recordHash));
  });
  return { hash: hex(tree(hashes)), leaves: leaves.length };
}
