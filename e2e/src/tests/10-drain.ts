import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Context } from "../context.js";
import { until } from "../until.js";

/**
 * Longest time in which the picture may stand still, beyond what both pages' own cameras do: the one makes the pictures and the other shows them, and
 * where they get no time one after the other, both times are missing. The aim is 300 ms; a machine with other work to do shows frames late.
 */
const LONGEST_MS = 1_500;
/** How long is looked for standstills before the move, and after it. */
const CALM_MS = 5_000;
const AFTER_MS = 7_000;

/**
 * How long after the other one Grace begins to change over, and how long her connection takes then. Until it is up she is seen by way of the node that
 * she leaves: the next one has to go on showing what comes from there.
 */
const LATER_MS = 1_000;
const SLOWLY_MS = 2_000;

/** Loses a tenth of what it sends, by a fault that the suite asks for: pictures stand still there without any move. */
const LOSSY = "media-3";

/** The media node of the call goes out of service for maintenance: the call goes on elsewhere, without anybody seeing it. */
export async function drain(suite: Context, t: TestContext): Promise<void> {
  const { network, adaPage, gracePage } = suite;
  const signer = (name: string): string[] => {
    const folder = join(network.data, name);
    return ["--owner", join(folder, "wallet.json"), "--owner-passphrase-file", join(folder, "passphrase")];
  };
  const command = (what: "drain" | "resume", name: string): Promise<unknown> =>
    network.cli("node", what, network.media(name).nodeId, ...signer(name));
  /** Names of the media nodes that Ada and Grace are on. */
  const where = async (): Promise<(string | undefined)[]> => {
    const calls = await Promise.all([adaPage.call(), gracePage.call()]);
    return calls.map((call) =>
      call.state === "connected"
        ? network.ready.mediaNodes.find(({ nodeId }) => nodeId === call.node)?.name
        : undefined,
    );
  };
  const leave = (name: string): Promise<(string | undefined)[]> =>
    until(`both left ${name}`, 60_000, async () => {
      const names = await where();
      return names.every((one) => one !== undefined && one !== name) ? names : undefined;
    });
  const standstills = async (): Promise<number[]> => {
    const found = await Promise.all([adaPage.standstill("grace"), gracePage.standstill("ada")]);
    return found.map((ms) => ms ?? Infinity);
  };
  const owns = async (): Promise<number[]> => {
    const found = await Promise.all([adaPage.ownStandstill(), gracePage.ownStandstill()]);
    return found.map((ms) => ms ?? 0);
  };

  await command("drain", LOSSY);
  await leave(LOSSY);
  const [from] = await where();
  assert.ok(from);
  await new Promise((resolve) => setTimeout(resolve, CALM_MS));
  await Promise.all([standstills(), owns()]);
  await new Promise((resolve) => setTimeout(resolve, CALM_MS));
  const [calm] = await Promise.all([standstills(), owns()]);
  await gracePage.hesitate(LATER_MS, SLOWLY_MS);
  await command("drain", from);
  const [to] = await leave(from);
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  const [longest, own] = await Promise.all([standstills(), owns()]);
  await command("resume", from);
  await command("resume", LOSSY);
  await gracePage.hesitate(0, 0);
  const said = `from ${from} to ${to}: pictures stood still for ${longest.join(" and ")} ms at most (${calm.join(" and ")} ms in ${CALM_MS / 1_000} s before), own cameras for ${own.join(" and ")} ms`;
  const machine = own.reduce((sum, ms) => sum + ms, 0);
  longest.forEach((ms) => assert.ok(ms < LONGEST_MS + machine, said));
  await until("both still see each other", 30_000, async () => {
    const frames = await Promise.all([adaPage.frames("grace"), gracePage.frames("ada")]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const later = await Promise.all([adaPage.frames("grace"), gracePage.frames("ada")]);
    return later.every((count, index) => count > (frames[index] ?? 0) + 5);
  });
  t.diagnostic(said);
}
