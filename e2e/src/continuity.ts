import type { DemoPage } from "./browser.js";

/** Watches that a call goes on: notes the longest time without a new frame. */
export class Continuity {
  longestMs = 0;
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

  async #watch(): Promise<void> {
    let frames = await this.page.frames(this.other);
    let since = Date.now();
    while (this.#running) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const now = await this.page.frames(this.other);
      // After a session that was joined anew the count begins anew too.
      if (now !== frames) since = Date.now();
      frames = now;
      this.longestMs = Math.max(this.longestMs, Date.now() - since);
    }
  }

  /** Ends the watch; resolves with the longest time in milliseconds. */
  async end(): Promise<number> {
    this.#running = false;
    await this.#watching;
    return this.longestMs;
  }
}
