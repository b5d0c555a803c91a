import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Aiortc } from "../aiortc.js";
import { bars, difference } from "../browser.js";
import type { Context } from "../context.js";
import { token } from "../token.js";
import { until } from "../until.js";
import { WhipPage } from "../whip-page.js";
import { ROOM } from "./01-call.js";

/**
 * WHIP and WHEP into and out of the call that runs: an encoder and a player on aiortc, both too as a browser without the SDK. Each sees the other
 * kind's pictures, told apart by how their bars lie.
 */
export async function whip(suite: Context, t: TestContext): Promise<void> {
  const { demo, orchestrators } = suite.network.ready;
  const orchestrator = orchestrators[0];
  assert.ok(orchestrator);
  const bearer = (identity: string): string =>
    token(suite.app, { room: ROOM, identity, name: identity[0]?.toUpperCase() + identity.slice(1) });
  const { cell } = suite.network.media("media-1");
  const whipUrl = `${orchestrator.http}/whip?cell=${cell}`;
  const whepUrl = (identity: string): string => `${orchestrator.http}/whep?cell=${cell}&identity=${identity}`;

  const encoder = Aiortc.start("publish", whipUrl, bearer("encoder"));
  suite.onEnd(() => encoder.kill());
  // It comes before the one that it wants to see.
  const player = Aiortc.start("watch", whepUrl("studio"), bearer("player"));
  suite.onEnd(() => player.kill());
  const studio = await WhipPage.open(suite.grace, demo);
  const screen = await WhipPage.open(suite.ada, demo);
  try {
    const [sent, watched] = await Promise.all([
      studio.publish(whipUrl, bearer("studio")),
      screen.watch(whepUrl("encoder"), bearer("screen")),
    ]);
    assert.match(sent.location, /\/whip\/[0-9a-f]{32}$/);
    assert.match(watched.location, /\/whep\/[0-9a-f]{32}$/);

    // From a browser over WHIP to aiortc over WHEP: Grace's bar lies and moves down.
    const decoded = await player.until("decodes the browser's picture and sound", 60_000, (seen) => {
      return (
        seen.frames > 30 && seen.change > 3 && seen.alongColumns > 3 * seen.alongRows && seen.level > 0.05
      );
    });
    // From aiortc over WHIP to a browser over WHEP, and to a page of the SDK in the same room: its bar stands.
    await until("the browser decodes aiortc's picture and sound", 60_000, async () => {
      const { framesDecoded, samples } = await screen.figures();
      return framesDecoded > 30 && samples > 48_000;
    });
    await until("the picture at the browser is aiortc's, and moves", 20_000, async () => {
      const before = await screen.grab();
      await new Promise((resolve) => setTimeout(resolve, 250));
      const after = await screen.grab();
      const { alongRows, alongColumns } = bars(after);
      return difference(before, after) > 3 && alongRows > 3 * alongColumns;
    });
    for (const identity of ["encoder", "studio"]) {
      await until(`Ada decodes ${identity} through the SDK`, 30_000, async () => {
        return (await suite.adaPage.frames(identity)) > 15;
      });
    }

    // An ICE restart of each browser, in one request: the pair of candidates is another one, and media goes on.
    for (const [page, count] of [
      [studio, "framesSent"],
      [screen, "framesDecoded"],
    ] as const) {
      const before = await page.figures();
      assert.notEqual(before.ufrag, "");
      const { status, etag } = await page.restart();
      assert.equal(status, 200);
      assert.ok(etag !== "" && ![sent.etag, watched.etag].includes(etag));
      const after = await until("the restarted ICE session is in use", 20_000, async () => {
        const now = await page.figures();
        return now.state === "connected" && now.ufrag !== before.ufrag ? now : undefined;
      });
      await until("media goes on after the ICE restart", 20_000, async () => {
        return (await page.figures())[count] > after[count] + 15;
      });
    }

    assert.equal(await studio.end(), 200);
    assert.equal(await screen.end(), 200);
    const total = await player.end();
    assert.equal(total.deleted, 200);
    assert.equal((await encoder.end()).deleted, 200);
    await until("they have left the room", 10_000, async () => {
      const identities = (await suite.adaPage.call()).others.map(({ identity }) => identity);
      return ["encoder", "studio", "player", "screen"].every((one) => !identities.includes(one));
    });
    t.diagnostic(
      `aiortc decoded ${total.frames} frames (${decoded.size.join(" × ")}) and ${total.audioFrames} of sound of a browser's over WHIP and WHEP`,
    );
  } finally {
    await studio.close();
    await screen.close();
    await encoder.kill();
    await player.kill();
  }
}
