import type { Link } from "./link.js";

/** How often it is looked whether media comes over the new link. */
const LOOK_MS = 50;
/**
 * How long the old link stays once the new one is up. Others show what we publish by the old media node until they have it by the new one, and nobody
 * tells us when; a node that drains keeps its sessions for longer than this.
 */
const LINGER_MS = 4_000;
/** How long a change may take; then the old link is closed, whatever came over the new one. */
const LONGEST_MS = 15_000;

/**
 * The change from one media node to another without a gap: the old link goes on carrying what it carries, and each track is taken from the new one once it
 * can be shown from there.
 */
export class Handover {
  readonly #taken = new Set<string>();
  readonly #began: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #up: number | undefined;
  #looking = false;
  #ended = false;

  constructor(
    readonly old: Link,
    private readonly link: Link,
    private readonly wanted: () => Iterable<string>,
    private readonly handlers: { taken(): void; over(): void },
  ) {
    this.#began = Date.now();
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  /** The media to show of a track for now. */
  media(track: string): MediaStreamTrack | undefined {
    const from = this.#taken.has(track) ? this.link : this.old;
    return from.media(track) ?? this.link.media(track);
  }

  /** Closes the old link. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.old.close();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const before = this.#taken.size;
    for (const track of this.wanted()) {
      if (!this.#taken.has(track) && (await this.link.flows(track))) this.#taken.add(track);
    }
    this.#looking = false;
    // Another change may have begun meanwhile, which is none of this one's business.
    if (this.#ended) return;
    if (this.#taken.size > before) this.handlers.taken();
    const now = Date.now();
    if (this.link.pc.connectionState === "connected") this.#up ??= now;
    const lingered = this.#up !== undefined && now - this.#up >= LINGER_MS;
    const carries = this.old.pc.connectionState === "connected";
    if (lingered || !carries || now - this.#began >= LONGEST_MS) this.handlers.over();
  }
}
