import { h } from "../../shared/dom";
import { ChangeOver, type Surface } from "./change-over";

/** A moving picture: two video elements in the same place, of which one is seen. */
export class Picture {
  readonly element: HTMLElement;
  #front: VideoSurface;
  readonly #videos: readonly [VideoSurface, VideoSurface];
  readonly #change: ChangeOver<MediaStreamTrack>;

  constructor() {
    this.#videos = [new VideoSurface(), new VideoSurface()];
    this.#front = this.#videos[0];
    this.#change = new ChangeOver(...this.#videos, (front) => {
      if (front instanceof VideoSurface) this.#front = front;
    });
    this.element = h("div", { class: "picture" }, ...this.#videos.map(({ video }) => video));
  }

  /** The element that is seen. */
  get video(): HTMLVideoElement {
    return this.#front.video;
  }

  /** What is shown, or soon will be. */
  set track(track: MediaStreamTrack | undefined) {
    this.#change.show(track);
  }

  /** Calls with the time of each picture that is seen, from now on. */
  watch(seen: (now: number) => void): void {
    for (const surface of this.#videos) {
      const next = (now: number): void => {
        if (surface === this.#front) seen(now);
        surface.video.requestVideoFrameCallback(next);
      };
      surface.video.requestVideoFrameCallback(next);
    }
  }
}

class VideoSurface implements Surface<MediaStreamTrack> {
  readonly video = h("video", { autoplay: true, playsinline: true });

  constructor() {
    // Sound has an element of its own, so that it goes on while there is no picture.
    this.video.muted = true;
  }

  play(track: MediaStreamTrack | undefined): void {
    this.video.srcObject = track ? new MediaStream([track]) : null;
    // Autoplay may be refused until the person has clicked; joining is a click.
    if (track) this.video.play().catch(() => undefined);
  }

  whenShown(then: () => void): () => void {
    const request = this.video.requestVideoFrameCallback(then);
    return () => this.video.cancelVideoFrameCallback(request);
  }

  front(front: boolean): void {
    this.video.classList.toggle("front", front);
  }
}
