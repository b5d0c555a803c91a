import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { blake2b } from "@noble/hashes/blake2.js";
import { hex } from "../chain.js";
import type { Context } from "../context.js";
import { Continuity } from "../continuity.js";
import { post } from "../json-rpc.js";
import type { Network } from "../network.js";
import { Polkadot, type Transaction } from "../polkadot.js";
import { builtRuntime, LAST_RELEASE } from "../releases.js";
import { until } from "../until.js";
import { withoutNames } from "../wasm.js";

/** Longest time in which no new frame may be decoded while the chain changes its runtime: the media path has no part in it. */
const LONGEST_GAP_MS = 8_000;

/** A motion of one of the two houses. */
interface House {
  pallet: "council" | "technicalCommittee";
  /** Two of its three members: the first proposes. */
  members: [string, string];
}

const HOUSES: House[] = [
  { pallet: "council", members: ["//Alice", "//Bob"] },
  { pallet: "technicalCommittee", members: ["//Dave", "//Eve"] },
];

/** What governance agreed on. */
export interface Agreed {
  code: Buffer;
  codeHash: string;
}

const hash = (bytes: Uint8Array): string => hex(blake2b(bytes, { dkLen: 32 }));

/** Both houses authorise the runtime that was built: proposed, voted and closed as their members would, without sudo. */
export async function agree(network: Network): Promise<Agreed> {
  const polkadot = await Polkadot.connect(network.ready.chain);
  try {
    const code = withoutNames(await builtRuntime());
    const codeHash = hash(code);
    const authorize = polkadot.call("system", "authorizeUpgrade", { codeHash }).method.toU8a();
    const approve = polkadot.call("enactment", "approve", { hash: hash(authorize) });
    const lengthBound = approve.method.encodedLength;
    const proposalHash = approve.method.hash.toHex();
    // Final before anything is built upon it: where two validators author a slot, what is in the one's block isn't in the other's.
    const send = (from: string, transaction: Transaction) =>
      polkadot.submit(transaction, polkadot.account(from));
    // Who is in no house may note what they are to decide on, and close what they decided.
    await Promise.all([
      send("//Charlie", polkadot.call("preimage", "notePreimage", { bytes: hex(authorize) })),
      ...HOUSES.map(({ pallet, members: [first] }) =>
        send(first, polkadot.call(pallet, "propose", { threshold: 2, proposal: approve, lengthBound })),
      ),
    ]);
    await Promise.all(
      HOUSES.flatMap(({ pallet, members }) =>
        members.map((member) =>
          send(member, polkadot.call(pallet, "vote", { proposal: proposalHash, index: 0, approve: true })),
        ),
      ),
    );
    const { weight } = await polkadot.api.call.transactionPaymentApi!.queryInfo!(
      approve.toU8a(),
      approve.encodedLength,
    ).then((info) => info as unknown as { weight: object });
    for (const { pallet } of HOUSES) {
      const close = { proposalHash, index: 0, proposalWeightBound: weight, lengthBound };
      await send("//Ferdie", polkadot.call(pallet, "close", close));
    }
    return { code, codeHash };
  } finally {
    await polkadot.close();
  }
}

/** A new runtime on a running network: a migration runs, the call and the chain go on, and nothing is restarted. */
export async function upgrade(suite: Context, t: TestContext): Promise<void> {
  const { network, chain } = suite;
  const version = async (url: string): Promise<number> =>
    (await post<{ specVersion: number }>(url, "state_getRuntimeVersion", [])).specVersion;
  assert.equal(await version(chain.url), LAST_RELEASE, "the network began with the last release's runtime");
  const { code, codeHash } = await suite.agreed;
  const processes = [
    ...network.ready.validators,
    ...network.ready.registries,
    ...network.ready.mediaNodes,
    ...network.ready.orchestrators,
  ].map(({ name }) => network.process(name));
  const watches = [new Continuity(suite.adaPage, "grace"), new Continuity(suite.gracePage, "ada")];

  const polkadot = await Polkadot.connect(network.ready.chain);
  try {
    await until("the delay is over and the runtime authorised", 120_000, async () => {
      const authorised = await polkadot.stored<{ codeHash: string } | null>("system", "authorizedUpgrade");
      return authorised?.codeHash === codeHash;
    });
    assert.equal(await polkadot.stored<number>("qos", "palletVersion"), 1);
    // Anybody may bring it: the hash is what was decided.
    const { status } = await polkadot.include(
      polkadot.call("system", "applyAuthorizedUpgrade", { code: hex(code) }),
      polkadot.account("//Ferdie"),
    );
    const applied = Date.now();
    // Its block has the new code and the old storage: what chain-client's `settled` is for.
    const bringer = (status.isInBlock ? status.asInBlock : status.asFinalized).toHex();
    const [brought, storage] = await until("the block that brought the runtime is read", 30_000, () =>
      Promise.all([
        post<string>(chain.url, "state_getStorageHash", [hex(Buffer.from(":code")), bringer]),
        migratedTo(polkadot, chain.url, bringer),
      ]),
    );
    assert.equal(brought, codeHash);
    assert.equal(storage, LAST_RELEASE);
    const built = await until("all validators run the new runtime", 60_000, async () => {
      const versions = await Promise.all(
        network.ready.validators.map(({ ws }) => version(ws.replace(/^ws/, "http"))),
      );
      return versions.every((one) => one === versions[0] && one > LAST_RELEASE) && versions[0];
    });
    const target = (await chain.best()) + 3;
    await until(
      "blocks of the new runtime are final",
      90_000,
      async () => (await chain.finalised()) >= target,
    );
    const took = Date.now() - applied;
    assert.equal(await migratedTo(polkadot, chain.url), built);
    const pages = await migrated(network);
    const gaps = await Promise.all(watches.map((watch) => watch.end()));
    const stood = gaps.map(({ other, own }) => `${other} ms (the own camera ${own} ms)`).join(" and ");
    for (const { other } of gaps) assert.ok(other < LONGEST_GAP_MS, `the call stood still for ${stood}`);
    for (const { name, pid } of processes)
      assert.equal(network.process(name).pid, pid, `${name} was not restarted`);
    t.diagnostic(
      `two houses agreed; version ${LAST_RELEASE} to ${built} with ${code.length} bytes; blocks of it final after ${(took / 1000).toFixed(1)} s; ` +
        `${pages} pages of attestors; ${processes.length} processes went on; pictures stood still for ${stood} at most`,
    );
  } finally {
    await polkadot.close();
  }
}

/** Version of the runtime whose migrations ran last, as of a block, the best one if none is given. */
async function migratedTo(polkadot: Polkadot, url: string, block?: string): Promise<number> {
  const item = polkadot.api.query.system?.lastRuntimeUpgrade;
  assert.ok(item, "the metadata have the last upgrade");
  // Raw, as the API would have the node compile the block's runtime first.
  const raw = await post<string>(url, "state_getStorage", [item.key(), ...(block ? [block] : [])]);
  const last = polkadot.api.registry.createType("FrameSystemLastRuntimeUpgradeInfo", raw);
  return (last.toJSON() as { specVersion: number }).specVersion;
}

/** Number of pages that the migration cut the attestor sets into. */
async function migrated(network: Network): Promise<number> {
  const polkadot = await Polkadot.connect(network.ready.chain);
  try {
    assert.equal(await polkadot.stored<number>("qos", "palletVersion"), 2);
    // Epoch 0 began before there were registry nodes: its set has no page.
    const sets = (await polkadot.api.query.qos?.attestorSets?.entries()) ?? [];
    const indexed = sets.flatMap(([, index]) => index.toJSON() as string[]).length;
    const pages = (await polkadot.api.query.qos?.attestorPages?.entries())?.length ?? 0;
    assert.ok(
      pages > 0 && pages === indexed,
      `${sets.length} sets index ${indexed} pages, of which there are ${pages}`,
    );
    return pages;
  } finally {
    await polkadot.close();
  }
}
