import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Context } from "../context.js";
import { post } from "../json-rpc.js";
import { snapshotRoot, type SnapshotLeaf } from "../merkle.js";
import { until } from "../until.js";

/** What `chroom rewards show` says of an epoch. */
export interface Foretold {
  epoch: number;
  committee: string[];
  proofs: number;
  missing: { node: string; reason: string }[];
  members: { attestor: string; score: number; samples: number; uptime: number; bytes: number }[];
  score?: number;
  fees?: string;
  subsidy?: string;
  total?: string;
  error?: string;
}

/** Begins to measure: notes the first epoch that begins from now on. */
export async function beginMeasuring(suite: Context): Promise<void> {
  suite.measuredEpoch = (await suite.chain.epoch()) + 1;
}

/** Waits until an epoch (the measured one unless told otherwise) is over and every committee member of the node has its root on chain. */
export async function attested(suite: Context, node: string, epoch = suite.measuredEpoch): Promise<string[]> {
  const { chain } = suite;
  await until(`epoch ${epoch} is over`, 180_000, async () => (await chain.epoch()) > epoch, 1_000);
  const committee = await chain.committee(epoch, node);
  assert.ok(committee.length > 0, `${node} has a committee in epoch ${epoch}`);
  for (const member of committee) {
    await until(
      `the root of ${member} for epoch ${epoch} is on chain`,
      90_000,
      () => chain.attestation(epoch, member),
      1_000,
    );
  }
  return committee;
}

/** What a claim of an epoch (the measured one unless told otherwise) would pay a node. */
export async function foretold(
  suite: Context,
  node: string,
  number = suite.measuredEpoch,
): Promise<Foretold> {
  const registry = suite.network.ready.registries[0];
  assert.ok(registry);
  return until(`a claim of epoch ${number} is possible for ${node}`, 120_000, async () => {
    const shown = await suite.network.ask<{ epochs: Foretold[] }>(
      registry.http,
      ...["rewards", "show", node],
      ...["--epoch", String(number)],
    );
    const one = shown.epochs.find(({ epoch }) => epoch === number);
    if (one?.error !== undefined) throw new Error(one.error);
    return one?.total === undefined ? undefined : one;
  });
}

/** Within two epochs: roots on chain, a claim that pays what was foretold, a final registry root that can be recomputed. */
export async function epoch(suite: Context, t: TestContext): Promise<void> {
  const { chain, network } = suite;
  const { nodeId, ownerAccount } = network.media("media-1");
  const committee = await attested(suite, nodeId);
  const number = suite.measuredEpoch;

  const promise = await foretold(suite, nodeId);
  assert.deepEqual(promise.missing, [], "every member serves its proof");
  assert.equal(promise.proofs, committee.length);
  assert.deepEqual([...promise.committee].sort(), [...committee].sort(), "the chain's committee");
  for (const member of promise.members) {
    assert.ok(member.samples > 0, `${member.attestor} had observations`);
    assert.ok(member.bytes > 0, `${member.attestor} had usage`);
  }
  assert.ok(BigInt(promise.total ?? 0) > 0n, "there is something to be paid");
  assert.ok(BigInt(promise.fees ?? 0) > 0n, "the application pays for usage");

  // The node itself claims and pays the transaction's fee, so that its owner's balance shows the pay alone.
  const folder = join(network.data, "media-1");
  const signer = [
    "--owner",
    join(folder, "wallet.json"),
    "--owner-passphrase-file",
    join(folder, "passphrase"),
  ];
  const before = await chain.free(ownerAccount);
  const registry = network.ready.registries[0];
  assert.ok(registry);
  const claimed = await network.ask<{ claims: { epoch: number; total: string }[] }>(
    registry.http,
    ...["rewards", "claim", nodeId],
    ...["--epoch", String(number)],
    ...signer,
  );
  assert.equal(claimed.claims.length, 1);
  const after = await until("the owner is paid", 60_000, async () => {
    const free = await chain.free(ownerAccount);
    return free === before ? undefined : { free };
  });
  assert.equal(
    after.free - before,
    BigInt(promise.total ?? 0),
    "the balance grew by exactly what was foretold",
  );
  await assert.rejects(
    network.ask(registry.http, "rewards", "claim", nodeId, "--epoch", String(number), ...signer),
    "an epoch is paid once",
  );

  const anchored = await until("a registry root is final", 60_000, () => chain.snapshot(number), 1_000);
  assert.ok(
    anchored.votes * 3 >= network.ready.registries.length * 2,
    `${anchored.votes} votes are two thirds`,
  );
  for (const { name, http } of network.ready.registries) {
    const verified = await network.ask<{ matches: boolean }>(
      http,
      "registry",
      "snapshot",
      "--epoch",
      String(number),
      "--verify",
    );
    assert.equal(verified.matches, true, `${name}: the records in its database give the final root`);
    const snapshot = await post<{ leaves?: SnapshotLeaf[]; records?: SnapshotLeaf[] }>(
      http,
      "registry_snapshot",
      [number],
    );
    const leaves = snapshot.leaves ?? snapshot.records ?? [];
    assert.deepEqual(snapshotRoot(leaves), anchored.root, `${name}: recomputed independently`);
  }
  t.diagnostic(
    `epoch ${number}: ${committee.length} roots on chain, score ${((promise.score ?? 0) / 100).toFixed(2)}, paid ${promise.total} ` +
      `(fees ${promise.fees}, subsidy ${promise.subsidy}) as foretold; final root ${anchored.root.hash.slice(0, 10)}… over ` +
      `${anchored.root.leaves} nodes, ${anchored.votes} votes, recomputed from ${network.ready.registries.length} registries`,
  );
}
