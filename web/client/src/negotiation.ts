/**
 * Runs one negotiation at a time. Requests that come while one is running, or in the same turn of the event loop, are
 * answered by one run after it: the state is described anew each time, so one run covers all of them.
 */
export class NegotiationQueue {
  #running: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;

  constructor(private readonly negotiate: () => Promise<void>) {}

  /** Resolves when a negotiation that began after this call has ended; rejects with its error. */
  request(): Promise<void> {
    this.#waiting ??= this.#after(this.#running);
    return this.#waiting;
  }

  async #after(previous: Promise<void> | undefined): Promise<void> {
    // A failed run is its own callers' affair; the next one starts from the state as it is.
    await previous?.catch(() => undefined);
    await Promise.resolve();
    this.#waiting = undefined;
    const run = this.negotiate();
    this.#running = run;
    try {
      await run;
    } finally {
      if (this.#running === run) this.#running = undefined;
    }
  }
}
