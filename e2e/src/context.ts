import { Browser, type DemoPage } from "./browser.js";
import { Chain } from "./chain.js";
import { Network } from "./network.js";
import type { Natives } from "./participant.js";
import { agree, type Agreed } from "./tests/08-upgrade.js";
import { demoApp, type App } from "./token.js";

/** What the tests of the suite share: one network, two browsers, and the call between them. */
export class Context {
  network!: Network;
  chain!: Chain;
  app!: App;
  /** Its camera shows a bar that moves sideways. */
  ada!: Browser;
  /** Its camera shows a bar that moves down. */
  grace!: Browser;
  /** The call between the two, begun by the first test and kept to the last. */
  adaPage!: DemoPage;
  gracePage!: DemoPage;
  /** What governance agreed on while the first test ran; only where a new runtime is tested, as who waits for it would keep the process. */
  agreed!: Promise<Agreed>;
  /** First epoch in which everything that is to be scored ran from its beginning to its end. */
  measuredEpoch = 0;
  /** Native participants on each of the twin media nodes. */
  readonly twins: Natives[] = [];
  /** Whether a test failed: then the network's data are kept. */
  failed = false;
  readonly #endings: (() => Promise<unknown>)[] = [];

  /** Starts what all need, and governance's work on a new runtime where that is to be tested. */
  async start(upgrade: boolean): Promise<void> {
    this.network = await Network.start();
    this.onEnd(async () => {
      const keep = this.failed || process.env.CHROOM_E2E_KEEP === "1";
      await this.network.stop(keep);
      if (keep) console.error(`the network's data and logs are kept in ${this.network.data}`);
    });
    this.chain = new Chain(this.network.ready.chain);
    if (upgrade) {
      this.agreed = agree(this.network);
      // Whoever waits for it hears of a failure.
      this.agreed.catch(() => undefined);
    }
    this.app = demoApp(this.network.ready);
    this.ada = await Browser.open("sideways", 440);
    this.onEnd(() => this.ada.close());
    this.grace = await Browser.open("down", 660);
    this.onEnd(() => this.grace.close());
  }

  /** Remembers what to end with the suite. */
  onEnd(ending: () => Promise<unknown>): void {
    this.#endings.unshift(ending);
  }

  /** Ends all of it. */
  async end(): Promise<void> {
    for (const ending of this.#endings.splice(0))
      await ending().catch((error: unknown) => console.error(error));
  }
}
