/** How long nothing may come before a track is asked for again; doubles with each time. */
const PATIENCE_MS = 4_000;
const MOST_TRIES = 5;

/**
 * Notices subscribed tracks on which nothing comes: after a move a subscription may reach the new media node before the
 * publisher does. Time is an argument.
 */
export class StallWatch {
  readonly #stalled = new Map<string, { since: number; tries: number }>();

  /** Takes in which tracks flow; gives those that are to be asked for again now. */
  due(flowing: Map<string, boolean>, now: number): string[] {
    for (const track of this.#stalled.keys()) if (flowing.get(track) !== false) this.#stalled.delete(track);
    const due: string[] = [];
    for (const [track, flows] of flowing) {
      if (flows) continue;
      const stall = this.#stalled.get(track);
      if (!stall) {
        this.#stalled.set(track, { since: now, tries: 0 });
      } else if (stall.tries < MOST_TRIES && now - stall.since >= PATIENCE_MS * 2 ** stall.tries) {
        stall.tries += 1;
        stall.since = now;
        due.push(track);
      }
    }
    return due;
  }
}
