import type { LocalTrack, Quality, RemoteParticipant, RemoteTrack, Room } from "@chroom/client";
import { fit, focus } from "./layout";
import type { Picture } from "./picture";
import { Tile } from "./tile";

const GAP = 12;

/** All tiles: ourselves, the others, and the screens that are shared. */
export class Stage {
  readonly #tiles = new Map<string, Tile>();
  readonly #observer: ResizeObserver;
  /** The tile that is shown large. */
  #pinned: string | undefined;

  constructor(
    private readonly room: Room,
    private readonly stage: HTMLElement,
    private readonly grid: HTMLElement,
    private readonly ownName: string,
  ) {
    this.#observer = new ResizeObserver(() => this.#arrange());
    this.#observer.observe(stage);
    this.#tile("own", ownName, "camera", true);
    room.on("participantJoined", (participant) => this.#joined(participant));
    room.on("participantLeft", ({ participant }) => {
      this.#drop(participant.id);
      this.#drop(`${participant.id}/screen`);
    });
    room.on("trackPublished", () => this.#rank());
    for (const event of [
      "trackPublished",
      "trackSubscribed",
      "trackUnsubscribed",
      "trackMuted",
      "trackPaused",
    ] as const) {
      room.on(event, (track) => this.#show(track.participant));
    }
    room.on("trackUnpublished", (track) => {
      if (track.source === "screen") this.#drop(`${track.participant.id}/screen`);
      this.#show(track.participant);
    });
    room.on("activeSpeakers", (speakers) => {
      for (const [key, tile] of this.#tiles) {
        tile.speaking = speakers.includes(key === "own" ? room.participantId : key);
      }
    });
    room.on("quality", (quality) => this.#figures(quality));
    for (const participant of room.participants.values()) this.#joined(participant);
  }

  /** Shows what we publish ourselves. */
  own(): void {
    const tracks = [...this.room.published];
    const tile = this.#tile("own", this.ownName, "camera", true);
    const camera = tracks.find((track) => track.source === "camera");
    const microphone = tracks.find((track) => track.source === "microphone");
    tile.shows = camera && !camera.muted ? camera.media : undefined;
    tile.muted = !microphone || microphone.muted;
    this.#ownScreen(tracks.find((track) => track.source === "screen"));
  }

  /** Takes all tiles off the page. */
  clear(): void {
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
  }

  /** The picture of a participant's camera. */
  picture(participant: string): Picture | undefined {
    return this.#tiles.get(participant)?.picture;
  }

  /** The picture of one's own camera. */
  ownPicture(): Picture | undefined {
    return this.#tiles.get("own")?.picture;
  }

  #ownScreen(track: LocalTrack | undefined): void {
    if (track) this.#tile("own/screen", this.ownName, "screen", true).shows = track.media;
    else this.#drop("own/screen");
  }

  #joined(participant: RemoteParticipant): void {
    const tile = this.#tile(participant.id, participant.name, "camera", false);
    tile.element.dataset.identity = participant.identity;
    this.#show(participant);
  }

  #show(participant: RemoteParticipant): void {
    if (!this.room.participants.has(participant.id)) return;
    const tile = this.#tile(participant.id, participant.name, "camera", false);
    const camera = participant.track("camera");
    const microphone = participant.track("microphone");
    tile.shows = media(camera);
    tile.paused = camera?.paused === true && !camera.muted;
    tile.sound = media(microphone);
    tile.muted = !microphone || microphone.muted;
    const screen = participant.track("screen");
    if (screen) {
      const shared = this.#tile(`${participant.id}/screen`, participant.name, "screen", false);
      shared.shows = media(screen);
      shared.paused = screen.paused && !screen.muted;
      shared.sound = media(participant.track("screen-audio"));
    }
  }

  #figures(quality: Quality): void {
    for (const participant of this.room.participants.values()) {
      for (const [key, source] of [
        [participant.id, "camera"],
        [`${participant.id}/screen`, "screen"],
      ] as const) {
        const track = participant.track(source);
        const tile = this.#tiles.get(key);
        if (tile) tile.quality = track && !track.muted ? quality.tracks.get(track.id) : undefined;
      }
    }
  }

  #tile(key: string, name: string, source: "camera" | "screen", own: boolean): Tile {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = new Tile(key, name, source, own, () => this.#pin(key));
      this.#tiles.set(key, tile);
      // Shared screens come first: they are why one looks.
      if (source === "screen") this.grid.prepend(tile.element);
      else this.grid.append(tile.element);
      this.#arrange();
    }
    return tile;
  }

  #drop(key: string): void {
    this.#tiles.get(key)?.remove();
    if (this.#pinned === key) this.#pinned = undefined;
    if (this.#tiles.delete(key)) this.#arrange();
  }

  /** Shows a tile large and asks for its video before the others; pinned already, it is like the others again. */
  #pin(key: string): void {
    this.#pinned = this.#pinned === key ? undefined : key;
    for (const [other, tile] of this.#tiles) tile.pinned = other === this.#pinned;
    this.#rank();
    this.#arrange();
  }

  #rank(): void {
    for (const participant of this.room.participants.values()) {
      for (const track of participant.tracks.values()) {
        if (track.kind !== "video") continue;
        const key = track.source === "screen" ? `${participant.id}/screen` : participant.id;
        const priority = key === this.#pinned ? "high" : "medium";
        if (track.subscribed && track.priority !== priority) this.room.subscribe(track, { priority });
      }
    }
  }

  #arrange(): void {
    // Rounded down: `clientWidth` may round up, and the last tile of a row would not fit.
    const space = this.stage.getBoundingClientRect();
    const [width, height] = [Math.floor(space.width), Math.floor(space.height)];
    const { style, classList } = this.grid;
    const sizes = this.#pinned === undefined ? undefined : focus(this.#tiles.size - 1, width, height, GAP);
    const others = sizes?.side ?? fit(this.#tiles.size, width, height, GAP);
    classList.toggle("beside", sizes?.beside === true);
    classList.toggle("below", sizes?.beside === false);
    style.setProperty("--w", `${others.width}px`);
    style.setProperty("--h", `${others.height}px`);
    style.setProperty("--main-w", `${sizes?.main.width ?? 0}px`);
    style.setProperty("--main-h", `${sizes?.main.height ?? 0}px`);
    style.setProperty("--columns", String(others.columns));
    style.setProperty("--rows", String(Math.max(1, Math.ceil((this.#tiles.size - 1) / others.columns))));
  }
}

function media(track: RemoteTrack | undefined): MediaStreamTrack | undefined {
  return track && !track.muted ? track.media : undefined;
}
