import type { Link } from "./link.js";

/** Decides when a media connection that fails is mended, and how: by an ICE restart and by a new connection, in turns. */
export class Mending {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;

  constructor(private readonly mend: (link: Link) => void) {}

  /** Mends this connection after so long, unless it heals; takes the place of what was planned before. */
  after(ms: number, link: Link): void {
    this.cancel();
    this.#timer = setTimeout(() => this.mend(link), ms);
  }

  /** Nothing is to be mended any more. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The connection is well. */
  healed(): void {
    this.cancel();
    this.#tries = 0;
  }

  /** Whether this attempt is an ICE restart. */
  restarts(): boolean {
    this.#tries += 1;
    return this.#tries % 2 === 1;
  }
}
