import type { DemoPage } from "./browser.js";

/** How often it is looked, in milliseconds. */
const INTERVAL_MS = 250;

/** For how long pictures stood still, in milliseconds. */
export interface Standstill {
  /** The other one's. */
  other: number;
  /** The page's own camera's in the whole time, which crosses no network: what the machine was too busy to show. */
  own: number;
}

/** Watches that a call goes on: notes the longest time without a new picture of somebody. */
export class Continuity {
  readonly #longest: Standstill = { other: 0, own: 0 };
  #running = true;
  readonly #watching: Promise<void>;

  constructor(
    private readonly page: DemoPage,
    private readonly other: string,
  ) {
    this.#watching = this.#watch();
    // end() throws what went wrong; a test that fails before must not be hidden by it.
    this.#watching.catch(() => undefined);
  }

  #look(): Promise<[number | undefined, number | undefined]> {
    return Promise.all([this.page.standstill(this.other), this.page.ownStandstill()]);
  }

  async #watch(): Promise<void> {
    // What was before is of no concern.
    await this.#look();
    let there = Date.now();
    while (this.#running) {
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
      const [other, own] = await this.#look();
      // Who is away, because the session begins anew, stands still, too.
      const away = Date.now() - there;
      this.#longest.other = Math.max(this.#longest.other, other ?? away);
      this.#longest.own = Math.max(this.#longest.own, own ?? 0);
      if (other !== undefined) there = Date.now();
    }
  }

  /** Ends the watch; resolves with the longest times. */
  async end(): Promise<Standstill> {
    this.#running = false;
    await this.#watching;
    return this.#longest;
  }
}
