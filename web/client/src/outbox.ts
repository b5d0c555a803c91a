import { TransportError } from "./errors.js";
import type { Link } from "./link.js";

/** Reliable messages kept until the channel opens. */
const MAX_WAITING = 64;

/** Data messages on their way out: reliable ones wait for the channel, lossy ones do not. */
export class Outbox {
  #waiting: Uint8Array<ArrayBuffer>[] = [];

  /** Sends a message, or keeps it. */
  send(bytes: Uint8Array<ArrayBuffer>, reliable: boolean, link: Link | undefined): void {
    if (link?.channelReady(reliable)) {
      link.send(bytes, reliable);
      return;
    }
    if (!reliable) return;
    if (this.#waiting.length >= MAX_WAITING) {
      throw new TransportError(
        "not-connected",
        "the media connection is down and too many messages wait for it",
        "Wait for the state `connected`.",
      );
    }
    this.#waiting.push(bytes);
  }

  /** Sends what waits, as far as the channel takes it. */
  drain(link: Link | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) {
      if (link?.channelReady(true)) link.send(bytes, true);
      else this.#waiting.push(bytes);
    }
  }
}
