import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Context } from "../context.js";
import { until } from "../until.js";

/** Longest time in which the picture may stand still. The aim is 300 ms; a machine with other work to do shows frames late. */
const LONGEST_MS = 1_500;
/** How long is looked for standstills before the move, and after it. */
const CALM_MS = 5_000;
const AFTER_MS = 7_000;

/** The media node of the call goes out of service for maintenance: the call goes on elsewhere, without anybody seeing it. */
export async function drain(suite: Context, t: TestContext): Promise<void> {
  const { network, adaPage, gracePage } = suite;
  const before = await Promise.all([adaPage.call(), gracePage.call()]);
  const node = network.ready.mediaNodes.find(({ nodeId }) => nodeId === before[0].node);
  assert.ok(node);
  const folder = join(network.data, node.name);
  const signer = [
    "--owner",
    join(folder, "wallet.json"),
    "--owner-passphrase-file",
    join(folder, "passphrase"),
  ];
  const standstills = (): Promise<number[]> =>
    Promise.all([adaPage.standstill("grace"), gracePage.standstill("ada")]);

  await standstills();
  await new Promise((resolve) => setTimeout(resolve, CALM_MS));
  const calm = await standstills();
  await network.cli("node", "drain", node.nodeId, ...signer);
  const moved = await until("both moved to another media node", 60_000, async () => {
    const calls = await Promise.all([adaPage.call(), gracePage.call()]);
    const all = calls.every(
      (call, index) => call.moves > (before[index]?.moves ?? 0) && call.state === "connected",
    );
    return all ? calls : undefined;
  });
  for (const call of moved) assert.notEqual(call.node, node.nodeId);
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  const longest = await standstills();
  await network.cli("node", "resume", node.nodeId, ...signer);
  for (const ms of longest) assert.ok(ms < LONGEST_MS, `the picture stood still for ${ms} ms`);
  await until("both still see each other", 30_000, async () => {
    const frames = await Promise.all([adaPage.frames("grace"), gracePage.frames("ada")]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const later = await Promise.all([adaPage.frames("grace"), gracePage.frames("ada")]);
    return later.every((count, index) => count > (frames[index] ?? 0) + 5);
  });
  t.diagnostic(
    `${node.name} drained under the call: pictures stood still for ${longest.join(" and ")} ms at most (${calm.join(" and ")} ms in ${CALM_MS / 1_000} s before)`,
  );
}
