import { after, before, describe, test, type TestContext } from "node:test";
import { Context } from "./context.js";
import { call } from "./tests/01-call.js";
import { beginMeasuring, epoch } from "./tests/02-epoch.js";
import { impaired, startTwins } from "./tests/03-impaired.js";
import { participants } from "./tests/04-participants.js";
import { refusals } from "./tests/05-refusals.js";
import { kill } from "./tests/06-kill.js";
import { wallets } from "./tests/07-wallets.js";
import { upgrade } from "./tests/08-upgrade.js";
import { whip } from "./tests/09-whip.js";
import { drain } from "./tests/10-drain.js";
import { PATIENCE } from "./until.js";

/*
 * One network for all; it begins with the runtime of the last release, and is upgraded to the present one after the first test, so that
 * all others see a chain that went through it. The order saves time: what an epoch is to measure runs while refusals and native participants are tested, and
 * the epoch is looked at afterwards.
 */
const suite = new Context();
const UPGRADE = "08 a new runtime by governance, under the call";
/** For work on one promise: CHROOM_E2E_ONLY="05,06". */
const only = (process.env.CHROOM_E2E_ONLY ?? "").split(",").filter((number) => number !== "");
// The first one sets up what the others look at.
const isWanted = (name: string): boolean =>
  only.length === 0 || name.startsWith("01") || only.some((number) => name.startsWith(number));

describe("end to end", { concurrency: 1 }, () => {
  before(() => suite.start(isWanted(UPGRADE)), { timeout: 360_000 * PATIENCE });
  after(() => suite.end(), { timeout: 120_000 * PATIENCE });

  const promise = (
    name: string,
    run: (suite: Context, t: TestContext) => Promise<void>,
    ms = 240_000,
  ): void => {
    if (!isWanted(name)) return;
    void test(name, { timeout: ms * PATIENCE }, async (t) => {
      const failed = suite.failed;
      suite.failed = true;
      await run(suite, t);
      suite.failed = failed;
    });
  };

  promise("01 two browsers see and hear each other", async (context, t) => {
    await call(context, t);
    await startTwins(context);
    await beginMeasuring(context);
  });
  promise(UPGRADE, upgrade);
  promise("05 what may not be is refused, with a reason", refusals);
  promise("04 ten native participants beside two browsers", participants);
  promise("02 an epoch is attested, paid as foretold, and anchored", epoch, 360_000);
  promise("03 the impaired media node scores lower", impaired);
  promise("09 WHIP and WHEP, from and to browsers and aiortc", whip);
  promise("06 kill -9 of each kind of process", kill, 360_000);
  promise("10 a media node goes out of service under the call", drain);
  promise("07 wallets that know nothing of Chroom", wallets, 360_000);
});
