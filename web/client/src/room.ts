import { Backoff } from "./backoff.js";
import { camera, microphone, screen, type CameraOptions, type Capture } from "./capture.js";
import { MAX_MESSAGE } from "./data.js";
import { Emitter } from "./emitter.js";
import { ChroomError, PermissionError, SessionError, TokenError, asChroomError } from "./errors.js";
import type { LocalTrack } from "./local-track.js";
import { Measurement } from "./measurement.js";
import { MediaConnection } from "./media-connection.js";
import { Outbox } from "./outbox.js";
import type { Grants, NodeInfo, SessionEvent, SessionInfo } from "./protocol.js";
import { Publications } from "./publications.js";
import type { Quality } from "./quality.js";
import { SessionKey } from "./receipt.js";
import type { RemoteParticipant, RemoteTrack } from "./remote.js";
import type {
  Emit,
  RoomEvents,
  RoomOptions,
  RoomState,
  SubscribeOptions,
  TokenSource,
} from "./room-events.js";
import { Roster } from "./roster.js";
import { Signalling } from "./signalling.js";

/** A room that this client is, or wants to be, in. Used for one call; make another one for the next. */
export class Room extends Emitter<RoomEvents> {
  /** The others, by participant id. */
  readonly participants: Map<string, RemoteParticipant>;
  /** What we publish. */
  readonly published: Set<LocalTrack>;

  readonly #options: RoomOptions;
  readonly #roster: Roster;
  readonly #publications = new Publications();
  readonly #outbox = new Outbox();
  readonly #measurement: Measurement;
  readonly #media: MediaConnection;
  #state: RoomState = "idle";
  #urls: string[] = [];
  #token: TokenSource = "";
  #signalling: Signalling | undefined;
  #session: SessionInfo | undefined;
  #node: NodeInfo | undefined;

  constructor(options: RoomOptions = {}) {
    super();
    this.#options = options;
    const emit: Emit = (name, event) => this.emit(name, event);
    this.#roster = new Roster(emit, options);
    this.participants = this.#roster.participants;
    this.published = this.#publications.tracks;
    this.#media = new MediaConnection(
      () => ({
        session: this.#session,
        signalling: this.#signalling,
        over: this.#over() ? leftMeanwhile() : undefined,
      }),
      this.#roster,
      this.#publications,
      {
        begun: () => this.#measurement.begin(),
        up: () => this.#settle(),
        down: (reason) => {
          this.#warn(reason);
          if (this.#state !== "connecting") this.#set("moving", reason.message);
        },
        warn: (error) => this.#warn(error),
        message: (message, reliable) =>
          this.emit("message", { ...message, participant: this.participants.get(message.sender), reliable }),
        channelOpen: () => this.#outbox.drain(this.#media.messages),
      },
      options.peer,
    );
    this.#measurement = new Measurement(
      () => ({
        link: this.#media.link,
        signalling: this.#signalling,
        node: this.#node,
        flowing: this.#state === "connected",
        tracks: this.#roster.tracks(),
      }),
      emit,
      (error) => this.#warn(error),
    );
  }

  /** Where the room stands. */
  get state(): RoomState {
    return this.#state;
  }

  /** Our own participant id; empty before `connect`. */
  get participantId(): string {
    return this.#session?.participant ?? "";
  }

  /** The session's id; empty before `connect`. */
  get sessionId(): string {
    return this.#session?.session ?? "";
  }

  /** What the token allows. */
  get grants(): Grants | undefined {
    return this.#session?.grants;
  }

  /** The room's name; empty before `connect`. */
  get name(): string {
    return this.#session?.room ?? "";
  }

  /** The media node that serves us. */
  get node(): NodeInfo | undefined {
    return this.#node;
  }

  /** The last second's quality. */
  get lastQuality(): Quality | undefined {
    return this.#measurement.last;
  }

  /** State of the media connection. */
  get transport(): RTCPeerConnectionState | undefined {
    return this.#media.link?.pc.connectionState;
  }

  /** The browser's statistics of the media connection, for debugging. */
  async getStats(): Promise<RTCStatsReport | undefined> {
    return this.#media.link?.pc.getStats();
  }

  /**
   * Joins the room that the token names. Several orchestrators may be given: they are tried in turn. Resolves when the session stands
   * and the media connection is negotiated; rejects with the reason otherwise.
   */
  async connect(url: string | string[], token: TokenSource): Promise<void> {
    if (this.#state !== "idle")
      throw new SessionError("used", "this room was used already", "Make a new Room.");
    this.#urls = typeof url === "string" ? [url] : [...url];
    this.#token = token;
    this.#set("connecting", "joining");
    try {
      await this.#join();
      await this.#media.negotiate();
    } catch (error) {
      const reason = asChroomError(error);
      this.#end(reason.message, reason);
      throw reason;
    }
  }

  /**
   * Publishes captured tracks. Resolves when the far side agreed to take them; where that fails, their devices are let go.
   */
  async publish(...captures: Capture[]): Promise<LocalTrack[]> {
    try {
      this.#mayPublish();
    } catch (error) {
      for (const { track } of captures) track.stop();
      throw error;
    }
    const tracks = this.#publications.add(
      captures,
      (track) => void this.unpublish(track).catch(() => undefined),
    );
    try {
      await this.#media.negotiate();
    } catch (error) {
      for (const track of tracks) {
        this.published.delete(track);
        this.#media.unpublish(track);
        track.stop();
      }
      throw error;
    }
    return tracks;
  }

  /** Opens the camera and publishes it. */
  async publishCamera(options?: CameraOptions): Promise<LocalTrack> {
    this.#mayPublish();
    return first(await this.publish(await camera(options)));
  }

  /** Opens the microphone and publishes it. */
  async publishMicrophone(options?: { deviceId?: string; processing?: boolean }): Promise<LocalTrack> {
    this.#mayPublish();
    return first(await this.publish(await microphone(options)));
  }

  /** Asks for a screen or window and publishes it, with its sound where there is any. */
  async publishScreen(): Promise<LocalTrack[]> {
    this.#mayPublish();
    return this.publish(...(await screen()));
  }

  /**
   * Ends a publication and lets its device go. Where the orchestrator cannot be reached, the others hear of it after the
   * reconnect.
   */
  async unpublish(track: LocalTrack): Promise<void> {
    if (!this.published.delete(track)) return;
    track.stop();
    this.#media.unpublish(track);
    if (track.id !== undefined) await this.#publications.end(track.id, this.#signalling);
  }

  /** Mutes or unmutes a publication, here and for everyone's display. */
  async mute(track: LocalTrack, muted: boolean): Promise<void> {
    if (muted) track.mute();
    else await track.unmute();
    await this.#media.feed(track);
    // Another call may have changed it while the device opened.
    if (track.id !== undefined)
      await this.#signalling?.call("session.mute", { track: track.id, muted: track.muted });
  }

  /** Wants a track, or wants it otherwise than before. */
  subscribe(track: RemoteTrack, { maxHeight, priority }: SubscribeOptions = {}): void {
    track.subscribed = true;
    if (maxHeight !== undefined) track.maxHeight = Math.max(0, Math.round(maxHeight));
    if (priority !== undefined) track.priority = priority;
    this.#media.sync();
  }

  /** Does not want a track any more. */
  unsubscribe(track: RemoteTrack): void {
    if (!track.subscribed) return;
    track.subscribed = false;
    this.#media.sync();
  }

  /** Sends a message of at most 16 KiB to everyone in the room. */
  send(payload: Uint8Array | string, options: { reliable?: boolean } = {}): void {
    this.#needSession();
    const reliable = options.reliable ?? true;
    const bytes = new Uint8Array(typeof payload === "string" ? new TextEncoder().encode(payload) : payload);
    if (bytes.length > MAX_MESSAGE) {
      throw new ChroomError(
        "message-too-large",
        `a message of ${bytes.length} bytes is too large`,
        `Send at most ${MAX_MESSAGE} bytes at a time.`,
      );
    }
    this.#outbox.send(bytes, reliable, this.#media.messages);
  }

  /** Removes a participant; needs the grant `admin`. */
  async kick(participant: string): Promise<void> {
    await this.#needSession().call("room.kick", { participant });
  }

  /** Asks for the figures of the media node that serves us; comes back as event `node` too. */
  async refreshNode(): Promise<NodeInfo> {
    const node = await this.#needSession().call("node.info", {});
    this.#node = node;
    this.emit("node", node);
    return node;
  }

  /** Leaves the room and lets all devices go. */
  async leave(): Promise<void> {
    if (this.#state === "closed") return;
    const signalling = this.#signalling;
    if (signalling?.open) {
      await this.#measurement.receipt().catch(() => undefined);
      await signalling.call("session.leave", {}, 2_000).catch(() => undefined);
    }
    this.#end("left", undefined);
  }

  async #join(): Promise<void> {
    const token = typeof this.#token === "string" ? this.#token : await this.#token();
    const key = await SessionKey.generate();
    const signalling = await this.#open();
    try {
      const { cell } = this.#options;
      const session = await signalling.call("session.join", {
        token,
        receiptKey: key.encoded,
        ...(cell === undefined ? {} : { cell }),
      });
      if (this.#over()) throw leftMeanwhile();
      this.#measurement.open(session.session, key);
      this.#publications.forgetIds();
      this.#take(signalling);
      this.#media.begin(session);
      this.#adopt(session);
      this.#measurement.schedule(session.receiptIntervalMs);
    } catch (error) {
      signalling.close();
      throw error;
    }
  }

  /** Opens a WebSocket to the first orchestrator that answers. */
  async #open(): Promise<Signalling> {
    let last: unknown;
    for (const url of [...this.#urls]) {
      try {
        return await Signalling.open(url, this.#options.socket);
      } catch (error) {
        last = error;
        // The next attempt begins with the next one.
        this.#urls.push(...this.#urls.splice(0, 1));
      }
    }
    throw asChroomError(last);
  }

  #take(signalling: Signalling): void {
    this.#signalling = signalling;
    signalling.onevent = (event) => this.#event(event);
    signalling.onlost = (error) => void this.#reconnect(error);
  }

  async #reconnect(lost: ChroomError): Promise<void> {
    if (this.#over()) return;
    this.#set("reconnecting", lost.message);
    const began = Date.now();
    const backoff = new Backoff(250, 3_000);
    let gone = false;
    for (;;) {
      await delay(backoff.next());
      if (this.#over()) return;
      try {
        if (gone) {
          await this.#join();
        } else {
          await this.#resume();
        }
        break;
      } catch (error) {
        if (this.#over()) return;
        const reason = asChroomError(error);
        if (reason instanceof SessionError && !gone) {
          // The orchestrator knows no such session: join anew, with the same token or a fresh one.
          gone = true;
          backoff.reset();
        } else if (reason instanceof TokenError || reason instanceof PermissionError) {
          this.#end(reason.message, reason);
          return;
        } else if (Date.now() - began > (this.#options.reconnectForMs ?? 120_000)) {
          this.#end(`could not reconnect: ${reason.message}`, reason);
          return;
        }
      }
    }
    this.#settle();
    this.#measurement.flush();
    // What was to be negotiated while the orchestrator was away is negotiated now.
    this.#media.negotiate().catch((error: unknown) => this.#warn(error));
  }

  async #resume(): Promise<void> {
    const session = this.#session;
    if (!session)
      throw new SessionError("no-session", "there is no session to resume", "Join the room again.");
    const signalling = await this.#open();
    try {
      const resumed = await signalling.call("session.resume", {
        session: session.session,
        secret: session.secret,
      });
      if (this.#over()) throw leftMeanwhile();
      this.#take(signalling);
      if (resumed.generation !== session.generation) this.#media.begin(resumed, true);
      this.#adopt(resumed);
      this.#publications.repeat(signalling);
    } catch (error) {
      signalling.close();
      throw error;
    }
  }

  /** Takes over what the orchestrator says of the room. */
  #adopt(session: SessionInfo): void {
    this.#session = session;
    this.#node = session.node;
    this.#roster.own = session.participant;
    this.emit("node", session.node);
    this.#roster.adopt(session.participants);
    this.#media.sync();
  }

  #event(event: SessionEvent): void {
    switch (event.type) {
      case "participantJoined":
        this.#roster.joined(event.participant);
        break;
      case "participantLeft":
        this.#roster.left(event.participant, event.reason);
        break;
      case "trackPublished":
        this.#roster.trackPublished(event.participant, event.track);
        break;
      case "trackUnpublished":
        this.#roster.trackUnpublished(event.participant, event.track);
        break;
      case "trackMuted":
        this.#roster.trackMuted(event.participant, event.track, event.muted);
        break;
      case "activeSpeakers":
        this.#roster.speakers(event.participants);
        break;
      case "layersWanted":
        this.#media.link
          ?.want(event.track, event.layers, event.paused)
          .catch((error: unknown) => this.#warn(error));
        break;
      case "videosPaused":
        this.#roster.paused(event.tracks);
        break;
      case "moved":
        this.#moved(event.node, event.generation, event.reason);
        break;
      case "closed":
        this.#end(event.reason, undefined);
        break;
    }
    this.#media.sync();
  }

  #moved(node: NodeInfo, generation: number, reason: string): void {
    if (!this.#session || generation <= this.#session.generation) return;
    this.#session = { ...this.#session, generation, node };
    this.#node = node;
    this.#set("moving", reason);
    this.#media.begin(this.#session, true);
    this.emit("node", node);
    this.emit("moved", { node, reason });
    this.#media.negotiate().catch((error: unknown) => this.#warn(error));
  }

  /** Says `connected` once both the orchestrator and the media node are. */
  #settle(): void {
    if (this.#over() || !this.#signalling?.open) return;
    const transport = this.#media.link?.pc.connectionState;
    if (transport === "connected") this.#set("connected", "media flows");
    else if (this.#state === "reconnecting") this.#set("moving", "the media connection is being made");
  }

  #mayPublish(): void {
    this.#needSession();
    if (this.#session?.grants.publish !== false) return;
    const error = new PermissionError(
      "not-permitted",
      "the token does not allow publishing",
      "Ask the application for a token with the grant `publish`.",
    );
    error.needs = "publish";
    throw error;
  }

  #needSession(): Signalling {
    if (!this.#signalling || !this.#session || this.#over()) {
      throw new SessionError("no-session", "not in a room", "Call connect first.");
    }
    return this.#signalling;
  }

  #over(): boolean {
    return this.#state === "closed";
  }

  #set(state: RoomState, reason: string): void {
    if (this.#state === state || this.#over()) return;
    this.#state = state;
    this.emit("state", { state, reason });
  }

  #warn(error: unknown): void {
    if (!this.#over()) this.emit("warning", asChroomError(error));
  }

  #end(reason: string, error: ChroomError | undefined): void {
    if (this.#over()) return;
    this.#measurement.stop();
    this.#publications.stop();
    this.#media.end();
    this.#set("closed", reason);
    this.#signalling?.close();
    this.#signalling = undefined;
    this.emit("closed", { reason, error });
  }
}

function leftMeanwhile(): SessionError {
  return new SessionError("closed", "the room was left meanwhile", "");
}

function first(tracks: LocalTrack[]): LocalTrack {
  const track = tracks[0];
  if (!track) throw new ChroomError("unexpected", "nothing was published", "Report this, please.");
  return track;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
