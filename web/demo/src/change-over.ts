/** One of two places where pictures are shown, one upon the other. */
export interface Surface<Track> {
  /** Shows this track from now on, or nothing. */
  play(track: Track | undefined): void;
  /** Calls once a picture of what plays is on it; the result takes that back. */
  whenShown(then: () => void): () => void;
  /** Puts it before the other one, or behind. */
  front(front: boolean): void;
}

/**
 * Shows one track after the other with no gap between: the next one plays behind the present one until its first picture is there. A track that
 * is given to the surface that shows the last one would leave it black meanwhile.
 */
export class ChangeOver<Track> {
  #front: Surface<Track>;
  #back: Surface<Track>;
  #shown: Track | undefined;
  #next: { track: Track; cancel: () => void } | undefined;

  constructor(
    front: Surface<Track>,
    back: Surface<Track>,
    private readonly changed: (front: Surface<Track>) => void = () => undefined,
  ) {
    this.#front = front;
    this.#back = back;
    front.front(true);
    back.front(false);
  }

  /** Shows a track as soon as there is a picture of it; nothing is shown at once. */
  show(track: Track | undefined): void {
    if (track !== undefined && track === (this.#next?.track ?? this.#shown)) return;
    this.#drop();
    if (track === this.#shown) return;
    if (track === undefined || this.#shown === undefined) {
      // There is nothing that could be kept.
      this.#shown = track;
      this.#front.play(track);
      return;
    }
    this.#back.play(track);
    this.#next = { track, cancel: this.#back.whenShown(() => this.#change(track)) };
  }

  #change(track: Track): void {
    this.#next = undefined;
    [this.#front, this.#back] = [this.#back, this.#front];
    this.#shown = track;
    this.#front.front(true);
    this.#back.front(false);
    this.#back.play(undefined);
    this.changed(this.#front);
  }

  #drop(): void {
    if (!this.#next) return;
    this.#next.cancel();
    this.#next = undefined;
    this.#back.play(undefined);
  }
}
