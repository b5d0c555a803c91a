/** Waiting times between attempts: doubling from `first` up to `most`, each shortened by up to half at random. */
export class Backoff {
  #next: number;

  constructor(
    readonly first = 250,
    readonly most = 5_000,
    readonly random: () => number = Math.random,
  ) {
    this.#next = first;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const wait = this.#next * (1 - this.random() / 2);
    this.#next = Math.min(this.#next * 2, this.most);
    return wait;
  }

  /** Starts again from the first time, after a success. */
  reset(): void {
    this.#next = this.first;
  }
}
