import type { Kind, ParticipantInfo, Priority, Source, TrackInfo } from "./protocol.js";

/** A track that another participant publishes. */
export class RemoteTrack {
  readonly id: string;
  readonly kind: Kind;
  readonly source: Source;
  /** Simulcast layers, lowest first. */
  readonly layers: readonly string[];
  /** Whether its publisher muted it. */
  muted: boolean;
  /** Whether it is wanted here. */
  subscribed = false;
  /** Greatest height that is wanted; 0 for the best. */
  maxHeight = 0;
  /** Its place among the videos where the line is narrow. */
  priority: Priority = "medium";
  /**
   * Whether nothing of it comes at present because the line carries no more, or the media node has no time: of the wanted videos, it is among the
   * last by `priority`.
   */
  paused = false;
  /** Its media while it is subscribed. Another object after the session moved: see the event `trackSubscribed`. */
  media: MediaStreamTrack | undefined;

  constructor(
    info: TrackInfo,
    /** Who publishes it. */
    readonly participant: RemoteParticipant,
  ) {
    this.id = info.id;
    this.kind = info.kind;
    this.source = info.source;
    this.layers = info.layers;
    this.muted = info.muted;
  }
}

/** Another participant of the room. */
export class RemoteParticipant {
  readonly id: string;
  /** As the application's token names the person. */
  readonly identity: string;
  readonly name: string;
  /** By track id. */
  readonly tracks = new Map<string, RemoteTrack>();
  /** Whether the participant is among the active speakers. */
  speaking = false;

  constructor(info: ParticipantInfo) {
    this.id = info.id;
    this.identity = info.identity;
    this.name = info.name === "" ? info.identity : info.name;
  }

  /** The track of a source, if there is one. */
  track(source: Source): RemoteTrack | undefined {
    for (const track of this.tracks.values()) if (track.source === source) return track;
    return undefined;
  }
}
