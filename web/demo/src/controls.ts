import { ChroomError, type CameraOptions, type LocalTrack, type Room, type Source } from "@chroom/client";
import { h } from "../../shared/dom";
import { icon, type Icon } from "./icons";
import { toast } from "./toast";

/** The bar of buttons: microphone, camera, screen, panel, leave. */
export class Controls {
  readonly #microphone = control("microphone");
  readonly #camera = control("camera");
  readonly #screen = control("screen");
  readonly #panel = control("panel");
  readonly #leave = control("leave");
  #unread = 0;
  /** Called when what we publish changed. */
  onchange: () => void = () => undefined;

  constructor(
    private readonly room: Room,
    element: HTMLElement,
    private readonly call: HTMLElement,
    private readonly cameraOptions: CameraOptions,
  ) {
    const buttons = [this.#microphone, this.#camera, this.#screen, this.#panel, this.#leave];
    element.replaceChildren(...buttons);
    this.#leave.classList.add("leave");
    this.#microphone.addEventListener("click", () =>
      this.#do(this.#microphone, () => this.toggle("microphone")),
    );
    this.#camera.addEventListener("click", () => this.#do(this.#camera, () => this.toggle("camera")));
    this.#screen.addEventListener("click", () => this.#do(this.#screen, () => this.#share()));
    this.#panel.addEventListener("click", () => {
      this.call.classList.toggle("no-side");
      this.#unread = 0;
      this.show();
    });
    this.#leave.addEventListener("click", () => void this.room.leave());
    this.show();
  }

  /** Publishes the microphone or camera, or turns its mute over. */
  async toggle(source: "microphone" | "camera"): Promise<void> {
    const track = this.#track(source);
    if (track) await this.room.mute(track, !track.muted);
    else if (source === "camera") await this.room.publishCamera(this.cameraOptions);
    else await this.room.publishMicrophone();
  }

  /** Counts a message that came while the panel was hidden. */
  message(): void {
    if (!this.call.classList.contains("no-side")) return;
    this.#unread += 1;
    this.show();
  }

  /** Shows what is on and what is off. */
  show(): void {
    const microphone = this.#track("microphone");
    const camera = this.#track("camera");
    const screen = this.#track("screen");
    const speaking = microphone !== undefined && !microphone.muted;
    const filming = camera !== undefined && !camera.muted;
    set(
      this.#microphone,
      speaking ? "microphone" : "microphoneOff",
      speaking ? "Mute" : "Unmute",
      !speaking,
      false,
    );
    set(
      this.#camera,
      filming ? "camera" : "cameraOff",
      filming ? "Camera off" : "Camera on",
      !filming,
      false,
    );
    set(this.#screen, "screen", screen ? "Stop sharing" : "Share the screen", false, screen !== undefined);
    set(this.#panel, "panel", "Panel", false, !this.call.classList.contains("no-side"));
    if (this.#unread > 0) this.#panel.append(h("span", { class: "badge" }, String(this.#unread)));
    set(this.#leave, "leave", "Leave", false, false);
    const mayPublish = this.room.grants?.publish !== false;
    for (const button of [this.#microphone, this.#camera, this.#screen]) button.disabled = !mayPublish;
  }

  async #share(): Promise<void> {
    const shared = [this.#track("screen"), this.#track("screen-audio")].filter(
      (track) => track !== undefined,
    );
    if (shared.length === 0) await this.room.publishScreen();
    else await Promise.all(shared.map((track) => this.room.unpublish(track)));
  }

  #track(source: Source): LocalTrack | undefined {
    return [...this.room.published].find((track) => track.source === source);
  }

  #do(button: HTMLButtonElement, action: () => Promise<void>): void {
    button.disabled = true;
    action()
      .catch((error: unknown) => {
        if (error instanceof ChroomError && error.slug === "capture-denied" && button === this.#screen)
          return;
        const known = error instanceof ChroomError ? error : undefined;
        toast(known?.message ?? String(error), known?.hint);
      })
      .finally(() => {
        button.disabled = false;
        this.onchange();
      });
  }
}

function control(name: string): HTMLButtonElement {
  return h("button", { class: "control", type: "button", "data-control": name });
}

function set(button: HTMLButtonElement, name: Icon, title: string, off: boolean, on: boolean): void {
  button.replaceChildren(icon(name));
  button.title = title;
  button.setAttribute("aria-label", title);
  button.classList.toggle("off", off);
  button.classList.toggle("on", on);
}
