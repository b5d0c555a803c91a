import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Context } from "../context.js";
import { Natives } from "../participant.js";
import { token } from "../token.js";
import { Signalling } from "../signalling.js";
import { attested, foretold } from "./02-epoch.js";

const TWINS = ["media-2", "media-3"] as const;

/** Holds a room on each twin open: whoever comes first decides where the room is, and that is a client near the twin. */
export async function startTwins(suite: Context): Promise<void> {
  for (const name of TWINS) {
    const { cell, nodeId } = suite.network.media(name);
    const room = `twin-${name}`;
    const orchestrator = suite.network.ready.orchestrators[0];
    assert.ok(orchestrator);
    const first = await Signalling.open(orchestrator.ws);
    const joined = await first.join(token(suite.app, { room, identity: "first" }), cell);
    assert.equal(joined.node.id, nodeId, `a room near ${name} is put there`);
    const natives = Natives.start(suite.network.ready, room, {
      name: `twin-${name.slice(-1)}`,
      count: 3,
      video: 1,
      videos: 1,
      seconds: 600,
    });
    suite.onEnd(async () => {
      first.close();
      if (natives.running) await natives.stop();
    });
    suite.twins.push(natives);
  }
}

/** A media node that loses a tenth of what it sends scores lower on chain than its twin in the same run. */
export async function impaired(suite: Context, t: TestContext): Promise<void> {
  const [sound, lossy] = await Promise.all(
    TWINS.map(async (name) => {
      const { nodeId } = suite.network.media(name);
      await attested(suite, nodeId);
      return foretold(suite, nodeId);
    }),
  );
  assert.ok(sound?.score !== undefined && lossy?.score !== undefined);
  for (const { members } of [sound, lossy]) {
    assert.ok(
      members.every(({ samples }) => samples > 0),
      "both were observed by their whole committees",
    );
  }
  assert.ok(
    lossy.score + 300 < sound.score,
    `the impaired node's score (${lossy.score / 100}) is clearly below its twin's (${sound.score / 100})`,
  );
  t.diagnostic(
    `epoch ${suite.measuredEpoch}: ${(lossy.score / 100).toFixed(2)} points with 10 % loss, ${(sound.score / 100).toFixed(2)} without`,
  );
}
