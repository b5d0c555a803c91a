import type { Source, TrackQuality } from "@chroom/client";
import { h } from "../../shared/dom";
import { bitRate } from "../../shared/format";
import { icon } from "./icons";
import { Picture } from "./picture";

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  return words
    .slice(0, 2)
    .map((word) => String.fromCodePoint(word.codePointAt(0) ?? 32))
    .join("")
    .toUpperCase();
}

function hue(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}

/** One picture with its name: a participant, or a screen that is shared. */
export class Tile {
  readonly element: HTMLElement;
  readonly picture = new Picture();
  readonly #audio: HTMLAudioElement;
  readonly #muted: SVGElement;
  readonly #figures: HTMLElement;
  readonly #bars: HTMLElement;
  readonly #pin: HTMLButtonElement;
  readonly #hold = h(
    "div",
    { class: "hold", role: "status", hidden: true },
    "Paused: the line is narrow, or the media node busy",
  );
  readonly #text: HTMLElement;

  constructor(
    readonly key: string,
    name: string,
    source: Source,
    own: boolean,
    onpin: () => void,
  ) {
    // Sound has an element of its own, so that it goes on while there is no picture.
    this.#audio = h("audio", { autoplay: true });
    this.#audio.muted = own;
    this.#muted = icon("microphoneOff");
    this.#bars = h("span", { class: "bars" }, h("i"), h("i"), h("i"));
    this.#text = h("span");
    this.#figures = h("div", { class: "figures", hidden: true }, this.#bars, this.#text);
    this.#pin = h("button", { class: "pin", type: "button", hidden: own, click: onpin }, icon("pin"));
    const suffix = source === "screen" ? " · screen" : own ? " (you)" : "";
    this.element = h(
      "article",
      { class: "tile no-picture", "data-key": key, "data-source": source, "data-own": own },
      this.picture.element,
      this.#audio,
      h("div", { class: "avatar", style: `--hue: ${hue(name)}` }, h("span", {}, initials(name))),
      h("div", { class: "label" }, this.#muted, h("b", {}, name + suffix)),
      this.#hold,
      this.#figures,
      this.#pin,
    );
    this.pinned = false;
    this.element.classList.toggle("screen", source === "screen");
    this.element.classList.toggle("mirror", own && source === "camera");
    this.muted = source !== "screen";
    if (source === "screen") this.#muted.setAttribute("hidden", "");
  }

  /** What the picture shows, or nothing. */
  set shows(track: MediaStreamTrack | undefined) {
    this.element.classList.toggle("no-picture", track === undefined);
    this.picture.track = track;
  }

  /** The sound, or none. */
  set sound(track: MediaStreamTrack | undefined) {
    attach(this.#audio, track);
  }

  /** Whether the crossed-out microphone is shown. */
  set muted(muted: boolean) {
    this.#muted.toggleAttribute("hidden", !muted);
  }

  /** Whether its video is held back because the line is narrow, or the media node busy. */
  set paused(paused: boolean) {
    this.element.classList.toggle("paused", paused);
    this.#hold.hidden = !paused;
  }

  /** Whether it is the one that is shown large. */
  set pinned(pinned: boolean) {
    this.element.classList.toggle("pinned", pinned);
    this.#pin.setAttribute("aria-pressed", String(pinned));
    this.#pin.setAttribute("aria-label", `Pin ${this.element.querySelector(".label b")?.textContent ?? ""}`);
    this.#pin.title = pinned ? "Unpin" : "Pin: large, and first where the line is narrow";
  }

  /** Whether the ring is shown. */
  set speaking(speaking: boolean) {
    this.element.classList.toggle("speaking", speaking);
  }

  /** The last second's figures of the picture. */
  set quality(quality: TrackQuality | undefined) {
    this.#figures.hidden = !quality || quality.height === 0;
    if (!quality) return;
    const level =
      quality.loss > 0.05 || quality.fps < 5 ? 1 : quality.loss > 0.01 || quality.fps < 12 ? 2 : 3;
    this.#bars.dataset.level = String(level);
    this.#text.textContent = `${quality.height}p ${Math.round(quality.fps)} fps ${bitRate(quality.kbps)}`;
  }

  /** Detaches all media and takes the tile off the page. */
  remove(): void {
    this.shows = undefined;
    this.sound = undefined;
    this.element.remove();
  }
}

function attach(element: HTMLAudioElement, track: MediaStreamTrack | undefined): void {
  const stream = element.srcObject instanceof MediaStream ? element.srcObject : undefined;
  if (stream?.getTracks()[0] === track) return;
  element.srcObject = track ? new MediaStream([track]) : null;
  // Autoplay may be refused until the person has clicked; joining is a click.
  if (track) element.play().catch(() => undefined);
}
