import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { track } from "../browser.js";
import type { Context } from "../context.js";
import { Continuity } from "../continuity.js";
import { nodeIdentity } from "../identities.js";
import { post } from "../json-rpc.js";
import { attested, foretold } from "./02-epoch.js";
import { sessionStats } from "../media-stats.js";
import { Natives } from "../participant.js";
import { until } from "../until.js";
import { token } from "../token.js";
import { Signalling } from "../signalling.js";

/** Longest time in which no new frame of the other may be decoded while other processes are killed. */
const LONGEST_GAP_MS = 8_000;

interface Proof {
  attestor: string;
  memberProof: string;
}

/** `kill -9` of each kind of process: service comes back, nothing acknowledged is lost, the call on the other media node goes on. */
export async function kill(suite: Context, t: TestContext): Promise<void> {
  const { network, chain } = suite;
  const { nodeId } = network.media("media-1");
  // Where the call is: on a busy machine the orchestrator may have moved it before.
  const homes = (await Promise.all([suite.adaPage.call(), suite.gracePage.call()])).map(({ node }) => node);
  const registry = network.ready.registries.find(({ name }) => name === "registry-1");
  assert.ok(registry);
  const done: string[] = [];
  const watches = [new Continuity(suite.adaPage, "grace"), new Continuity(suite.gracePage, "ada")];

  const firstEpoch = await chain.epoch();
  // A registry node: what it acknowledged and attested is still there afterwards.
  const proofBefore = await post<Proof>(registry.http, "registry_proof", [suite.measuredEpoch, nodeId]).catch(
    () => undefined,
  );
  const snapshotBefore = await post<object>(registry.http, "registry_snapshot", [suite.measuredEpoch]);
  const nodesBefore = (await post<{ node: string }[]>(registry.http, "registry_nodes", []))
    .map(({ node }) => node)
    .sort();
  const began = Date.now();
  await network.restarted("registry-1", network.kill("registry-1"));
  await until("registry-1 knows all nodes again", 60_000, async () => {
    const nodes = (await post<{ node: string }[]>(registry.http, "registry_nodes", []))
      .map(({ node }) => node)
      .sort();
    return nodesBefore.every((node) => nodes.includes(node));
  });
  assert.deepEqual(
    await post(registry.http, "registry_snapshot", [suite.measuredEpoch]),
    snapshotBefore,
    "its snapshot is kept",
  );
  if (proofBefore) {
    // It shows leaves once it has seen from the chain that no more roots are taken for the epoch, and says so before.
    const proof = await until("its leaves are shown again", 30_000, () =>
      post<Proof>(registry.http, "registry_proof", [suite.measuredEpoch, nodeId]).catch((error: unknown) => {
        if (!String(error).includes("ask again")) throw error;
        return undefined;
      }),
    );
    assert.equal(proof.memberProof, proofBefore.memberProof, "its leaves are kept");
  }
  done.push(`registry back in ${seconds(began)}`);

  // The other media node: its callers move, by themselves.
  await killMedia(suite, homes, done);

  // The orchestrator: media goes on, sessions are taken up again.
  const orchestrator = network.ready.orchestrators[0];
  assert.ok(orchestrator);
  const sessions = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
  const killedAt = Date.now();
  await network.restarted("orchestrator-1", network.kill("orchestrator-1"));
  const back = await until("both browsers are connected to the orchestrator again", 60_000, async () => {
    const calls = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
    const good = calls.every(
      ({ state, states }) =>
        state === "connected" && states.some((one) => one.at >= killedAt && one.state === "reconnecting"),
    );
    return good ? calls : undefined;
  });
  const resumed = back.filter((call, index) => call.session === sessions[index]?.session).length;
  const receipts = back.map((call) => call.receipts);
  await until("receipts go on", 30_000, async () => {
    const calls = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
    return calls.every((call, index) => call.receipts > (receipts[index] ?? 0));
  });
  await until("a newcomer can join", 45_000, async () => {
    const client = await Signalling.open(orchestrator.ws);
    const joined = await client
      .join(token(suite.app, { room: "after-restart" }))
      .finally(() => client.close());
    return joined.session;
  });
  done.push(`orchestrator back in ${seconds(killedAt)}, ${resumed} of 2 sessions resumed`);

  // A validator: finality waits for it and goes on with it.
  const validator = network.ready.validators.at(-1);
  assert.ok(validator);
  const epoch = await chain.epoch();
  const head = await chain.finalised();
  const validatorKilled = Date.now();
  await network.restarted(validator.name, network.kill(validator.name));
  await until("blocks are finalised again", 120_000, async () => (await chain.finalised()) > head + 2, 1_000);
  done.push(`validator back, finality in ${seconds(validatorKilled)}`);
  assert.ok((await chain.epoch()) >= epoch);
  assert.deepEqual(
    (await chain.snapshot(suite.measuredEpoch)) !== undefined,
    true,
    "the anchored root is still there",
  );

  const gaps = await Promise.all(watches.map((watch) => watch.end()));
  for (const { other: gap } of gaps) {
    assert.ok(gap < LONGEST_GAP_MS, `the call went on: the longest time without a frame was ${gap} ms`);
  }
  const calls = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
  assert.deepEqual(
    calls.map(({ node }) => node),
    homes,
    "the call stayed on its media node",
  );
  done.push(`the call went on throughout, longest pause ${Math.max(...gaps.map(({ other }) => other))} ms`);
  for (const home of new Set(homes))
    done.push(await nothingLost(suite, home, firstEpoch, await chain.epoch()));
  done.push(await ownNode(suite));
  t.diagnostic(done.join("; "));
}

/** The media node of the call itself: the browsers move, by themselves, and see each other again. */
async function ownNode(suite: Context): Promise<string> {
  const began = Date.now();
  const old = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
  const home = suite.network.ready.mediaNodes.find((one) => one.nodeId === old[0].node);
  assert.ok(home, "the call is on a media node of this network");
  await suite.network.restarted(home.name, suite.network.kill(home.name));
  for (const [index, [page, other]] of (
    [
      [suite.adaPage, "grace"],
      [suite.gracePage, "ada"],
    ] as const
  ).entries()) {
    const before = old[index];
    await until(`${page.name} was moved and is connected`, 60_000, async () => {
      const call = await page.call();
      // Who was on another one stays there.
      const moved = before?.node !== home.nodeId || call.moves > before.moves;
      return moved && call.state === "connected";
    });
    const frames = await page.frames(other);
    await until(
      `${page.name} sees ${other} again`,
      30_000,
      async () => (await page.frames(other)) > frames + 15,
    );
    await until(`${page.name} hears ${other} again`, 30_000, async () => {
      const sound = track(await page.call(), other, "microphone");
      return sound !== undefined && sound.audioLevel > 0.02;
    });
  }
  return `killed under the call, both see and hear each other again in ${seconds(began)}`;
}

/**
 * Every receipt that the orchestrator took of the browsers while things were killed is in the tree of every committee member, and they all
 * counted the same.
 */
async function nothingLost(suite: Context, node: string, first: number, last: number): Promise<string> {
  let taken = 0;
  let counted = 0;
  for (let epoch = first; epoch <= last; epoch += 1) {
    await attested(suite, node, epoch);
    const { members, missing } = await foretold(suite, node, epoch);
    assert.deepEqual(missing, [], `epoch ${epoch}: every member serves its proof`);
    const [from, to] = await Promise.all([suite.chain.epochStart(epoch), suite.chain.epochStart(epoch + 1)]);
    assert.ok(from !== undefined && to !== undefined);
    const calls = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
    const ours = calls
      .flatMap((call) => call.taken)
      .filter((receipt) => receipt.node === node && receipt.to >= from && receipt.to < to).length;
    assert.ok(ours > 0, `the browsers' receipts were taken in epoch ${epoch}`);
    for (const { attestor, samples } of members) {
      assert.ok(
        samples >= ours,
        `epoch ${epoch}: ${attestor} has ${samples} receipts, the browsers alone had ${ours} taken`,
      );
      assert.equal(samples, members[0]?.samples, `epoch ${epoch}: all members counted the same`);
    }
    taken += ours;
    counted += members[0]?.samples ?? 0;
  }
  return `epochs ${first} to ${last}: all ${taken} receipts that were taken of the browsers are in every member's tree (of ${counted} in all)`;
}

async function killMedia(suite: Context, homes: string[], done: string[]): Promise<void> {
  const { network } = suite;
  const orchestrator = network.ready.orchestrators[0];
  assert.ok(orchestrator);
  const other = ["media-2", "media-1"]
    .map((name) => network.media(name))
    .find(({ nodeId }) => !homes.includes(nodeId));
  assert.ok(other, "one of two media nodes doesn't have the call");
  const { name, cell, nodeId, http } = other;
  const room = "to-be-moved";
  const near = await Signalling.open(orchestrator.ws);
  const joined = await near.join(token(suite.app, { room, identity: "first" }), cell);
  assert.equal(joined.node.id, nodeId);
  const natives = Natives.start(network.ready, room, {
    name: "mover",
    count: 2,
    video: 0,
    videos: 0,
    seconds: 300,
  });
  suite.onEnd(async () => {
    near.close();
    if (natives.running) await natives.stop();
  });
  await until(`two callers are in the room on ${name}`, 30_000, () => heard(near) >= 2);
  const began = Date.now();
  await network.restarted(name, network.kill(name));
  await until(`${name} serves again`, 60_000, async () => {
    const status = (await (await fetch(`${http}/v1/status`)).json()) as { health: { accepting: boolean } };
    return status.health.accepting;
  });
  await until("the room was taken up again", 30_000, () => moves(near).length > 0);
  done.push(`media node back in ${seconds(began)}`);

  // It hangs, so that it does not come back at once: its room has to go elsewhere.
  const before = moves(near).length;
  const current = String((moves(near).at(-1)?.node as { id?: string } | undefined)?.id);
  const place = network.ready.mediaNodes.find((one) => one.nodeId === current);
  assert.ok(place && !homes.includes(place.nodeId), "the room is on one of the other media nodes");
  const hung = Date.now();
  const { pid } = network.process(place.name);
  assert.ok(pid !== null);
  process.kill(pid, "SIGSTOP");
  // A room whose nodes have much to do is put on two at once, so that its callers may be on different ones.
  const elsewhere = network.ready.mediaNodes.filter(({ nodeId: id }) => id !== current);
  try {
    await until("the room moves to another media node", 45_000, () =>
      moves(near)
        .slice(before)
        .some(({ node }) => (node as { id: string }).id !== current),
    );
    done.push(`a hanging one's room elsewhere in ${seconds(hung)}`);
    const callers = near.events
      .filter(({ type }) => type === "participantJoined")
      .map(({ participant }) => participant as { id: string; identity: string })
      .filter(({ identity }) => identity.startsWith("mover-"));
    assert.equal(callers.length, 2);
    await until("both callers are sent each other's sound there", 45_000, async () => {
      const asks = elsewhere.map(({ rpc }) => sessionStats(rpc, nodeIdentity(network, "orchestrator-1")));
      const all = (await Promise.all(asks)).flat();
      return callers.every(({ id }) => all.some((one) => one.participant === id && one.sentPackets > 250));
    });
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const reports = await natives.stop();
  near.close();
  for (const report of reports) {
    // Whoever was still on the way to the first place when that hung goes to the second at once.
    assert.ok(report.moves >= 1, `${report.identity} was moved ${report.moves} times`);
    assert.notEqual(report.node, current, `${report.identity} was served elsewhere in the end`);
    const audio = report.tracks
      .filter(({ kind }) => kind === "audio")
      .reduce((sum, { received }) => sum + received, 0);
    assert.ok(audio > 250, `${report.identity} heard the other (${audio} packets)`);
  }
}

/** Moves that a client was told of. */
function moves(client: Signalling): Record<string, unknown>[] {
  return client.events.filter(({ type }) => type === "moved");
}

/** Tracks of others that a client was told of. */
function heard(client: Signalling): number {
  return client.events.filter(({ type }) => type === "trackPublished").length;
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
