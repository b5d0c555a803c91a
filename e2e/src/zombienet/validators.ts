import assert from "node:assert/strict";
import { post } from "../json-rpc.js";
import { Polkadot } from "../polkadot.js";
import { until } from "../until.js";
import { agree, author, finalised, moreFinal, type Note } from "./checks.js";
import { specification } from "./specification.js";
import { Zombie } from "./zombie.js";

/** Blocks that are final before anything else is looked at. */
const FIRST = 8;

/** Four validators and a full node: finality, agreement, authors, sessions. */
export async function validators(folder: string, note: Note): Promise<void> {
  const spec = await specification(folder, { validators: ["charlie", "dave"] });
  const zombie = await Zombie.start("validators", folder, { CHROOM_SPEC: spec });
  try {
    const { nodes } = zombie;
    await finalised(nodes, FIRST);
    note(`block ${FIRST} is final on ${nodes.length} nodes: ${(await agree(nodes, FIRST)).slice(0, 10)}…`);

    for (const { name, chain } of nodes) {
      const roles = await post<string[]>(chain.url, "system_nodeRoles", []);
      assert.deepEqual(roles, [name === "reader" ? "Full" : "Authority"], name);
    }
    const reader = zombie.node("reader");
    const polkadot = await Polkadot.connect(reader.ws);
    try {
      const inOffice = (): Promise<string[]> => polkadot.stored<string[]>("session", "validators");
      const session = (): Promise<number> => polkadot.stored<number>("session", "currentIndex");
      assert.equal((await inOffice()).length, 4, "validators in office");

      // Each slot has an author by turns of chance: all have had one soon.
      const authors = new Set<number>();
      let next = 1;
      await until("each validator authored a block", 300_000, async () => {
        for (const head = await reader.chain.finalised(); next <= head; next += 1)
          authors.add(await author(reader, next));
        return authors.size === 4;
      });
      note(`all four authored within ${next - 1} blocks`);

      const began = await session();
      await until("two sessions have passed", 420_000, async () => (await session()) >= began + 2, 3_000);
      const era = await polkadot.stored<{ index: number }>("validators", "activeEra");
      await until(
        "an era has passed",
        420_000,
        async () => (await polkadot.stored<{ index: number }>("validators", "activeEra")).index > era.index,
        3_000,
      );
      assert.equal((await inOffice()).length, 4, "the same four were elected again");
      note(`sessions ${began} to ${await session()}, era ${era.index} over, four validators still`);
    } finally {
      await polkadot.close();
    }
    const number = await moreFinal(nodes, 3);
    note(`block ${number} is final on all: ${(await agree(nodes, number)).slice(0, 10)}…`);
  } finally {
    await zombie.stop();
  }
}
