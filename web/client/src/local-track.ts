import type { Capture } from "./capture.js";
import type { Kind, Source } from "./protocol.js";

/** A track that we publish. Made by `Room.publish`. */
export class LocalTrack {
  readonly source: Source;
  readonly kind: Kind;
  /** Settings at the time of publishing: what the layers are made for. */
  readonly settings: MediaTrackSettings;
  /** Id in the room, once the orchestrator gave one. Stays the same when the session moves. */
  id: string | undefined;
  #media: MediaStreamTrack;
  #muted = false;
  #stopped = false;
  /** Counts `mute`, `unmute` and `stop`: a device that opens late must not undo what was asked for since. */
  #turn = 0;
  readonly #again: Capture["again"];

  constructor(capture: Capture) {
    this.source = capture.source;
    this.kind = capture.track.kind === "audio" ? "audio" : "video";
    this.settings = capture.track.getSettings();
    this.#media = capture.track;
    this.#again = capture.again;
  }

  /** The captured media, for one's own picture. */
  get media(): MediaStreamTrack {
    return this.#media;
  }

  /** Whether it is muted. */
  get muted(): boolean {
    return this.#muted;
  }

  /** What is to be sent: a muted video sends nothing at all, a muted microphone stays and sends silence. */
  get sending(): MediaStreamTrack | null {
    return this.#muted && this.kind === "video" ? null : this.#media;
  }

  /** Mutes: a camera is let go, so that its light goes out, if it can be opened again without a question. */
  mute(): void {
    this.#turn += 1;
    this.#muted = true;
    this.#media.enabled = false;
    if (this.kind === "video" && this.#again) this.#media.stop();
  }

  /** Ends `mute`; opens the device again if it was let go. */
  async unmute(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    if (this.#media.readyState === "ended" && this.#again && !this.#stopped) {
      const media = await this.#again();
      if (turn !== this.#turn) {
        // Nobody wants it any more, and its light must go out.
        media.stop();
        return;
      }
      this.#media = media;
    }
    this.#muted = false;
    this.#media.enabled = true;
  }

  /** Lets the device go for good. */
  stop(): void {
    this.#turn += 1;
    this.#stopped = true;
    this.#media.stop();
  }
}
