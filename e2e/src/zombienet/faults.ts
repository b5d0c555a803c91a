import assert from "node:assert/strict";
import { Polkadot } from "../polkadot.js";
import { until } from "../until.js";
import { agree, finalised, moreFinal, type Note } from "./checks.js";
import { specification } from "./specification.js";
import { Zombie } from "./zombie.js";

/** Blocks that are made while a third is away and nothing may become final. */
const STALLED = 5;
/** Blocks below the best one that may still become final after the third has gone: votes that were on their way. */
const UNDER_WAY = 3;

/** What an offender among five loses at least, in percent of its bond: (3 × 1 / 5)². */
const LOSS_PERCENT = 36n;

/** An event, as far as it is looked at. */
interface Seen {
  event: { section: string; method: string; data: { toHuman(): unknown } };
}

/** Five validators and a twin: equivocation is slashed; pauses, a kill and a restart are survived. */
export async function faults(folder: string, note: Note): Promise<void> {
  const spec = await specification(folder, { validators: ["charlie", "dave", "eve"] });
  const zombie = await Zombie.start("faults", folder, { CHROOM_SPEC: spec }, true);
  try {
    const polkadot = await Polkadot.connect(zombie.node("alice").ws);
    try {
      await equivocation(zombie, polkadot, note);
    } finally {
      await polkadot.close();
    }
    // The offender's two nodes have no part in what follows.
    for (const name of ["eve", "twin"]) zombie.node(name).kill();
    await outage(zombie, note);
    await restart(zombie, note);
  } finally {
    await zombie.stop();
  }
}

/** Two nodes author in the slots of one: the others report it, the bond is slashed, the seat is lost. */
async function equivocation(zombie: Zombie, polkadot: Polkadot, note: Note): Promise<void> {
  const eve = polkadot.account("//Eve").address;
  const bonded = async (): Promise<bigint> => {
    const account = await polkadot.stored<{ data: { reserved: number | string } }>("system", "account", eve);
    return BigInt(account.data.reserved);
  };
  const before = await bonded();
  assert.ok(before > 0n, "the offender has a bond");
  let next = 1;
  const offence = await until(
    "an equivocation is reported",
    420_000,
    async () => {
      for (const head = await zombie.node("alice").chain.finalised(); next <= head; next += 1) {
        const hash = await polkadot.api.rpc.chain.getBlockHash(next);
        const at = await polkadot.api.at(hash);
        const events = (await at.query.system?.events?.()) as unknown as Iterable<Seen> | undefined;
        for (const { event } of events ?? []) {
          if (event.section === "offences" && event.method === "Offence")
            return { block: next, data: JSON.stringify(event.data.toHuman()) };
        }
      }
      return undefined;
    },
    2_000,
  );
  note(`block ${offence.block}: an offence was reported: ${offence.data}`);
  // The slash may wait for some eras in which it can be cancelled.
  const after = await until(
    "the equivocator's bond is slashed",
    1_800_000,
    async () => {
      const now = await bonded();
      return now < before ? { now } : undefined;
    },
    3_000,
  );
  const lost = before - after.now;
  assert.ok(lost * 100n >= before * LOSS_PERCENT, `${lost} of ${before} is less than ${LOSS_PERCENT} %`);
  note(`the equivocator lost ${lost} of ${before}`);
  await until(
    "the equivocator has no seat",
    900_000,
    async () => !(await polkadot.stored<string[]>("session", "validators")).includes(eve),
    3_000,
  );
  const inOffice = await polkadot.stored<string[]>("session", "validators");
  assert.equal(inOffice.length, 4, "the other four are in office");
  note("the equivocator is out of office, the other four are in");
}

/** One of four away: finality goes on. Two away: it stops, blocks don't; it catches up when they are back. */
async function outage(zombie: Zombie, note: Note): Promise<void> {
  const awake = ["alice", "bob"].map((name) => zombie.node(name));
  const [charlie, dave] = [zombie.node("charlie"), zombie.node("dave")];
  dave.pause();
  const number = await moreFinal([...awake, charlie], 3);
  note(`one of four is paused: block ${number} became final all the same`);

  charlie.pause();
  const [alice] = awake;
  assert.ok(alice);
  const latest = (await alice.chain.best()) + UNDER_WAY;
  await until(
    "blocks go on without finality",
    420_000,
    async () => (await alice.chain.best()) >= latest + STALLED,
  );
  const final = await alice.chain.finalised();
  assert.ok(final <= latest, `block ${final} became final with half of the validators`);
  note(`two of four are paused: blocks go on to ${await alice.chain.best()}, final is ${final}`);

  charlie.resume();
  dave.resume();
  const all = [...awake, charlie, dave];
  await finalised(all, latest + STALLED, 420_000);
  note(
    `both are back: block ${latest + STALLED} is final on all: ${(await agree(all, latest + STALLED)).slice(0, 10)}…`,
  );
}

/** A killed validator comes back with its database and goes on. */
async function restart(zombie: Zombie, note: Note): Promise<void> {
  const charlie = zombie.node("charlie");
  const others = ["alice", "bob", "dave"].map((name) => zombie.node(name));
  charlie.kill();
  await moreFinal(others, 3);
  charlie.restart();
  const all = [...others, charlie];
  await until("charlie answers again", 120_000, () => charlie.chain.best());
  const number = await moreFinal(all, 3, 420_000);
  note(
    `a killed validator is back: block ${number} is final on all: ${(await agree(all, number)).slice(0, 10)}…`,
  );
}
