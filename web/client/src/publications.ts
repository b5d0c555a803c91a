import type { Capture } from "./capture.js";
import { ConnectionError, TimeoutError } from "./errors.js";
import { LocalTrack } from "./local-track.js";
import type { Signalling } from "./signalling.js";

/** What we publish, and what the orchestrator has yet to hear of publications that ended. */
export class Publications {
  readonly tracks = new Set<LocalTrack>();
  /** Ids of tracks that ended, until the orchestrator answered. */
  readonly #ended = new Set<string>();

  /** Takes over captured tracks; `over` is called when the person ends one of them, as browsers let them with screens. */
  add(captures: Capture[], over: (track: LocalTrack) => void): LocalTrack[] {
    const tracks = captures.map((capture) => new LocalTrack(capture));
    for (const track of tracks) {
      this.tracks.add(track);
      if (track.source === "screen") track.media.addEventListener("ended", () => over(track));
    }
    return tracks;
  }

  /**
   * Tells the orchestrator that a track ended. Where it cannot be reached, that is told after the reconnect: until then
   * the others would look at a track without media.
   */
  async end(id: string, signalling: Signalling | undefined): Promise<void> {
    this.#ended.add(id);
    if (!signalling?.open) return;
    try {
      await signalling.call("session.unpublish", { track: id });
    } catch (error) {
      if (error instanceof ConnectionError || error instanceof TimeoutError) return;
      this.#ended.delete(id);
      throw error;
    }
    this.#ended.delete(id);
  }

  /** Tells again what may not have been heard. */
  repeat(signalling: Signalling): void {
    for (const id of this.#ended) {
      // A refusal means that it was heard the first time.
      void this.end(id, signalling).catch(() => undefined);
    }
  }

  /** A new session knows nothing of the ids of the one before. */
  forgetIds(): void {
    this.#ended.clear();
    for (const track of this.tracks) track.id = undefined;
  }

  /** Lets all devices go. */
  stop(): void {
    for (const track of this.tracks) track.stop();
    this.tracks.clear();
  }
}
