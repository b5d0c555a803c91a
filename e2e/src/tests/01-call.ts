import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { bars, difference, track, type DemoPage } from "../browser.js";
import type { Context } from "../context.js";
import { until } from "../until.js";

/** The room of the call that lasts through the suite. */
export const ROOM = "lounge";

/** Two real browser windows join one room through the demo page and see and hear each other. */
export async function call(suite: Context, t: TestContext): Promise<void> {
  const { demo } = suite.network.ready;
  const { cell, nodeId } = suite.network.media("media-1");
  suite.adaPage = await suite.ada.join(demo, ROOM, "Ada", { cell });
  await suite.adaPage.connected();
  suite.gracePage = await suite.grace.join(demo, ROOM, "Grace", { cell });
  await suite.gracePage.connected();
  const sides: [DemoPage, string, "alongRows" | "alongColumns"][] = [
    // Grace's bar lies and moves down, so brightness varies from row to row; Ada's stands.
    [suite.adaPage, "grace", "alongColumns"],
    [suite.gracePage, "ada", "alongRows"],
  ];
  const figures: string[] = [];
  for (const [page, other, varies] of sides) {
    const first = await until(`${page.name} decodes frames of ${other}`, 30_000, async () => {
      const frames = await page.frames(other);
      return frames > 0 ? frames : undefined;
    });
    const later = await until(`${page.name} decodes 30 more frames of ${other}`, 20_000, async () => {
      const frames = await page.frames(other);
      return frames >= first + 30 ? frames : undefined;
    });
    const moved = await until(
      `the picture of ${other} at ${page.name} moves, and is the right one`,
      20_000,
      async () => {
        const before = await page.grab(other);
        await new Promise((resolve) => setTimeout(resolve, 250));
        const after = await page.grab(other);
        if (!before || !after) return undefined;
        const spread = bars(after);
        const across = varies === "alongRows" ? "alongColumns" : "alongRows";
        const change = difference(before, after);
        return change > 3 && spread[varies] > 3 * spread[across] ? change : undefined;
      },
    );
    const level = await until(`${page.name} hears ${other}`, 15_000, async () => {
      const sound = track(await page.call(), other, "microphone");
      return sound && sound.audioLevel > 0.02 ? sound.audioLevel : undefined;
    });
    figures.push(
      `${page.name} decoded ${later} frames of ${other}, change ${moved.toFixed(0)}/255, level ${level.toFixed(2)}`,
    );
  }
  for (const [from, to] of [
    [suite.adaPage, suite.gracePage],
    [suite.gracePage, suite.adaPage],
  ] as const) {
    const text = `from ${from.name} at ${Date.now()}`;
    assert.ok(await from.send(text));
    await until(`${to.name} gets the message of ${from.name}`, 15_000, async () =>
      (await to.call()).messages.some(
        (message) => !message.mine && message.text === text && message.name === from.name,
      ),
    );
  }
  figures.push("a message each way");
  const served = await suite.adaPage.call();
  assert.equal(served.node, nodeId, "the node of the callers' region serves");
  assert.equal((await suite.gracePage.call()).node, nodeId);
  await until("both sign receipts", 20_000, async () => {
    const counts = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
    return counts.every(({ receipts }) => receipts > 0);
  });
  for (const page of [suite.adaPage, suite.gracePage]) assert.deepEqual(page.complaints, []);
  t.diagnostic(figures.join("; "));
}
