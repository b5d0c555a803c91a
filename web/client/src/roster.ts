import type { Wanted } from "./link.js";
import type { ParticipantInfo, TrackInfo } from "./protocol.js";
import { RemoteParticipant, RemoteTrack } from "./remote.js";
import type { Emit, RoomOptions } from "./room-events.js";

/** The others in the room with their tracks, as the orchestrator tells of them, and whose media we have. */
export class Roster {
  /** By participant id. */
  readonly participants = new Map<string, RemoteParticipant>();
  /** Our own participant id, under which the orchestrator tells of us, too. */
  own = "";

  constructor(
    private readonly emit: Emit,
    private readonly options: RoomOptions,
  ) {}

  /** Takes over who is there now: people who came, went or changed meanwhile. */
  adopt(present: ParticipantInfo[]): void {
    const ids = new Set(present.map((participant) => participant.id));
    for (const id of [...this.participants.keys()]) if (!ids.has(id)) this.left(id, "left meanwhile");
    for (const participant of present) this.joined(participant);
  }

  /** Somebody is there, with these tracks. */
  joined(info: ParticipantInfo): void {
    if (info.id === this.own) return;
    let participant = this.participants.get(info.id);
    if (!participant) {
      participant = new RemoteParticipant(info);
      this.participants.set(info.id, participant);
      this.emit("participantJoined", participant);
    }
    const present = new Set(info.tracks.map((track) => track.id));
    for (const id of [...participant.tracks.keys()]) {
      if (!present.has(id)) this.trackUnpublished(participant.id, id);
    }
    for (const track of info.tracks) this.trackPublished(participant.id, track);
  }

  /** Somebody left. */
  left(id: string, reason: string): void {
    const participant = this.participants.get(id);
    if (!participant) return;
    for (const track of [...participant.tracks.keys()]) this.trackUnpublished(id, track);
    this.participants.delete(id);
    this.emit("participantLeft", { participant, reason });
  }

  /** A track is there. */
  trackPublished(participantId: string, info: TrackInfo): void {
    const participant = this.participants.get(participantId);
    if (!participant) return;
    if (participant.tracks.has(info.id)) {
      this.trackMuted(participantId, info.id, info.muted);
      return;
    }
    const track = new RemoteTrack(info, participant);
    track.subscribed = this.options.autoSubscribe ?? true;
    track.maxHeight = track.kind === "video" ? (this.options.maxHeight ?? 0) : 0;
    participant.tracks.set(track.id, track);
    this.emit("trackPublished", track);
  }

  /** A track is gone. */
  trackUnpublished(participantId: string, id: string): void {
    const participant = this.participants.get(participantId);
    const track = participant?.tracks.get(id);
    if (!participant || !track) return;
    participant.tracks.delete(id);
    this.#detach(track);
    this.emit("trackUnpublished", track);
  }

  /** A track was muted or unmuted. */
  trackMuted(participantId: string, id: string, muted: boolean): void {
    const track = this.participants.get(participantId)?.tracks.get(id);
    if (!track || track.muted === muted) return;
    track.muted = muted;
    this.emit("trackMuted", track);
  }

  /** What is paused for us now. */
  paused(ids: string[]): void {
    for (const track of this.tracks()) {
      const paused = ids.includes(track.id);
      if (track.paused === paused) continue;
      track.paused = paused;
      this.emit("trackPaused", track);
    }
  }

  /** Who speaks now. */
  speakers(ids: string[]): void {
    for (const participant of this.participants.values()) participant.speaking = ids.includes(participant.id);
    this.emit("activeSpeakers", ids);
  }

  /** All tracks of all. */
  *tracks(): Generator<RemoteTrack> {
    for (const participant of this.participants.values()) yield* participant.tracks.values();
  }

  /** What is to be received, by track id. */
  wanted(): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>();
    for (const { id, kind, maxHeight, priority, subscribed } of this.tracks()) {
      if (subscribed) wanted.set(id, { track: id, kind, maxHeight, priority });
    }
    return wanted;
  }

  /** Gives tracks the media that there is for them. */
  attach(from: { media(track: string): MediaStreamTrack | undefined }): void {
    for (const track of this.tracks()) {
      const media = track.subscribed ? from.media(track.id) : undefined;
      if (track.media === media) continue;
      if (media) {
        track.media = media;
        this.emit("trackSubscribed", track);
      } else {
        this.#detach(track);
      }
    }
  }

  /** All media ended with the connection; `trackSubscribed` comes again with the next one. */
  mediaEnded(): void {
    for (const track of this.tracks()) track.media = undefined;
  }

  #detach(track: RemoteTrack): void {
    if (!track.media) return;
    track.media = undefined;
    this.emit("trackUnsubscribed", track);
  }
}
