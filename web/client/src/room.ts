import { Backoff } from "./backoff.js";
import { camera, microphone, screen, type CameraOptions, type Capture } from "./capture.js";
import { MAX_MESSAGE } from "./data.js";
import { Emitter } from "./emitter.js";
import {
  ChroomError,
  ConnectionError,
  MediaNodeError,
  PermissionError,
  ReceiptError,
  SessionError,
  TimeoutError,
  TokenError,
  TransportError,
} from "./errors.js";
import { Link, type PeerFactory, type Wanted } from "./link.js";
import { LocalTrack } from "./local-track.js";
import { NegotiationQueue } from "./negotiation.js";
import type { Grants, NodeInfo, ParticipantInfo, SessionEvent, SessionInfo, TrackInfo } from "./protocol.js";
import { quality, type Quality } from "./quality.js";
import { SessionKey, type SignedReceipt } from "./receipt.js";
import { ReceiptLedger } from "./receipts.js";
import { RemoteParticipant, RemoteTrack } from "./remote.js";
import { Signalling, type SocketFactory } from "./signalling.js";
import { StallWatch } from "./stall-watch.js";
import { StatsTracker, entries } from "./stats.js";

/**
 * - `connecting`: from `connect` until media can flow
 * - `connected`
 * - `reconnecting`: the orchestrator cannot be reached; media goes on meanwhile
 * - `moving`: the media connection is being made anew
 * - `closed`
 */
export type RoomState = "idle" | "connecting" | "connected" | "reconnecting" | "moving" | "closed";

/** Events of a room. */
export interface RoomEvents {
  state: { state: RoomState; reason: string };
  participantJoined: RemoteParticipant;
  participantLeft: { participant: RemoteParticipant; reason: string };
  trackPublished: RemoteTrack;
  trackUnpublished: RemoteTrack;
  /** Media is there: attach it. Comes again with other media after the session moved. */
  trackSubscribed: RemoteTrack;
  /** Detach it. */
  trackUnsubscribed: RemoteTrack;
  trackMuted: RemoteTrack;
  /** Participant ids, loudest first; our own may be among them. */
  activeSpeakers: string[];
  message: DataMessage;
  /** Once a second. */
  quality: Quality;
  /** A receipt was signed; it is sent as soon as the orchestrator can be reached. */
  receipt: SignedReceipt;
  /** The orchestrator took a receipt: from here on it answers for it. */
  receiptTaken: SignedReceipt;
  /** The serving media node, or what is known of it, changed. */
  node: NodeInfo;
  /** The session moved to another media node. */
  moved: { node: NodeInfo; reason: string };
  /** Something failed that the room goes on without, or tries again. */
  warning: ChroomError;
  /** The room is over, for this reason; nothing comes after it. */
  closed: { reason: string; error: ChroomError | undefined };
}

/** A data message. */
export interface DataMessage {
  /** Participant id of the sender. */
  sender: string;
  /** The sender, while in the room. */
  participant: RemoteParticipant | undefined;
  payload: Uint8Array<ArrayBuffer>;
  reliable: boolean;
}

/** How a room behaves. */
export interface RoomOptions {
  /** Subscribe to all that others publish; default true. Otherwise `subscribe` chooses. */
  autoSubscribe?: boolean;
  /** Greatest height of automatically subscribed videos; default: the best layer that fits. */
  maxHeight?: number;
  /** H3 cell of this client, hex, to find a media node nearby. */
  cell?: string;
  /** For how long a lost orchestrator is tried again, in ms; default two minutes. */
  reconnectForMs?: number;
  /** For tests. */
  socket?: SocketFactory;
  peer?: PeerFactory;
}

/** An access token, or where to get a fresh one: asked again if the session has to be joined anew. */
export type TokenSource = string | (() => string | Promise<string>);

const QUALITY_MS = 1_000;
/** How long the media connection may be `disconnected` before it is mended. */
const DISCONNECTED_MS = 4_000;
/** How long a mended or new connection may take. */
const CONNECT_MS = 8_000;
/** How long a failing negotiation is tried again. */
const NEGOTIATE_FOR_MS = 45_000;
/** Reliable messages kept until the channel opens. */
const MAX_QUEUED = 64;

type Timer = ReturnType<typeof setTimeout>;

/** A room that this client is, or wants to be, in. Used for one call; make another one for the next. */
export class Room extends Emitter<RoomEvents> {
  /** The others, by participant id. */
  readonly participants = new Map<string, RemoteParticipant>();
  /** What we publish. */
  readonly published = new Set<LocalTrack>();

  readonly #options: RoomOptions;
  readonly #negotiations = new NegotiationQueue(() => this.#negotiate());
  #state: RoomState = "idle";
  #urls: string[] = [];
  #token: TokenSource = "";
  #signalling: Signalling | undefined;
  #session: SessionInfo | undefined;
  #node: NodeInfo | undefined;
  #link: Link | undefined;
  #iceRestart = false;
  #ledger: ReceiptLedger | undefined;
  #tracker = new StatsTracker();
  #measuredAt = 0;
  #receiptTimer: Timer | undefined;
  #qualityTimer: Timer | undefined;
  #mendTimer: Timer | undefined;
  #mends = 0;
  #syncing = false;
  #queued: Uint8Array<ArrayBuffer>[] = [];
  #lastQuality: Quality | undefined;
  readonly #stalls = new StallWatch();

  constructor(options: RoomOptions = {}) {
    super();
    this.#options = options;
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
    return this.#lastQuality;
  }

  /** State of the media connection. */
  get transport(): RTCPeerConnectionState | undefined {
    return this.#link?.pc.connectionState;
  }

  /** The browser's statistics of the media connection, for debugging. */
  async getStats(): Promise<RTCStatsReport | undefined> {
    return this.#link?.pc.getStats();
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
      await this.#renegotiate();
    } catch (error) {
      const reason = asChroomError(error);
      this.#end(reason.message, reason);
      throw reason;
    }
  }

  /** Publishes captured tracks. Resolves when the far side agreed to take them. */
  async publish(...captures: Capture[]): Promise<LocalTrack[]> {
    this.#needSession();
    if (this.#session?.grants.publish === false) {
      const error = new PermissionError(
        "not-permitted",
        "the token does not allow publishing",
        "Ask the application for a token with the grant `publish`.",
      );
      error.needs = "publish";
      throw error;
    }
    const tracks = captures.map((capture) => new LocalTrack(capture));
    for (const track of tracks) {
      this.published.add(track);
      if (track.source === "screen") {
        track.media.addEventListener("ended", () => void this.unpublish(track).catch(() => undefined));
      }
    }
    try {
      await this.#renegotiate();
    } catch (error) {
      for (const track of tracks) {
        this.published.delete(track);
        this.#link?.unpublish(track);
        track.stop();
      }
      throw error;
    }
    return tracks;
  }

  /** Opens the camera and publishes it. */
  async publishCamera(options?: CameraOptions): Promise<LocalTrack> {
    return first(await this.publish(await camera(options)));
  }

  /** Opens the microphone and publishes it. */
  async publishMicrophone(options?: { deviceId?: string; processing?: boolean }): Promise<LocalTrack> {
    return first(await this.publish(await microphone(options)));
  }

  /** Asks for a screen or window and publishes it, with its sound where there is any. */
  async publishScreen(): Promise<LocalTrack[]> {
    return this.publish(...(await screen()));
  }

  /** Ends a publication and lets its device go. */
  async unpublish(track: LocalTrack): Promise<void> {
    if (!this.published.delete(track)) return;
    track.stop();
    this.#link?.unpublish(track);
    if (track.id !== undefined) await this.#signalling?.call("session.unpublish", { track: track.id });
  }

  /** Mutes or unmutes a publication, here and for everyone's display. */
  async mute(track: LocalTrack, muted: boolean): Promise<void> {
    if (muted) track.mute();
    else await track.unmute();
    await this.#link?.feed(track);
    if (track.id !== undefined) await this.#signalling?.call("session.mute", { track: track.id, muted });
  }

  /** Wants a track, at most `maxHeight` lines high (0 or absent: the best). Again with another height to change it. */
  subscribe(track: RemoteTrack, maxHeight = 0): void {
    track.subscribed = true;
    track.maxHeight = Math.max(0, Math.round(maxHeight));
    this.#sync();
  }

  /** Does not want a track any more. */
  unsubscribe(track: RemoteTrack): void {
    if (!track.subscribed) return;
    track.subscribed = false;
    this.#sync();
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
    if (this.#link?.channelReady(reliable)) this.#link.send(bytes, reliable);
    else if (reliable) {
      if (this.#queued.length >= MAX_QUEUED) {
        throw new TransportError(
          "not-connected",
          "the media connection is down and too many messages wait for it",
          "Wait for the state `connected`.",
        );
      }
      this.#queued.push(bytes);
    }
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
      await this.#receipt().catch(() => undefined);
      await signalling.call("session.leave", {}, 2_000).catch(() => undefined);
    }
    this.#end("left", undefined);
  }

  // ---- session ----

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
      this.#ledger = new ReceiptLedger(session.session, key);
      for (const track of this.published) track.id = undefined;
      this.#take(signalling);
      this.#newLink(session);
      this.#adopt(session);
      this.#schedule();
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
    this.#flush();
    // What was to be negotiated while the orchestrator was away is negotiated now.
    this.#renegotiate().catch((error: unknown) => this.#warn(error));
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
      if (resumed.generation !== session.generation) this.#newLink(resumed);
      this.#adopt(resumed);
    } catch (error) {
      signalling.close();
      throw error;
    }
  }

  /** Takes over what the orchestrator says of the room: people who came, went or changed meanwhile. */
  #adopt(session: SessionInfo): void {
    this.#session = session;
    this.#node = session.node;
    this.emit("node", session.node);
    const present = new Set(session.participants.map((participant) => participant.id));
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.#left(id, "left meanwhile");
    for (const participant of session.participants) this.#joined(participant);
    this.#sync();
  }

  #event(event: SessionEvent): void {
    switch (event.type) {
      case "participantJoined":
        this.#joined(event.participant);
        break;
      case "participantLeft":
        this.#left(event.participant, event.reason);
        break;
      case "trackPublished": {
        const participant = this.participants.get(event.participant);
        if (participant) this.#trackPublished(participant, event.track);
        break;
      }
      case "trackUnpublished": {
        const participant = this.participants.get(event.participant);
        if (participant) this.#trackUnpublished(participant, event.track);
        break;
      }
      case "trackMuted": {
        const track = this.participants.get(event.participant)?.tracks.get(event.track);
        if (track && track.muted !== event.muted) {
          track.muted = event.muted;
          this.emit("trackMuted", track);
        }
        break;
      }
      case "activeSpeakers":
        for (const participant of this.participants.values()) {
          participant.speaking = event.participants.includes(participant.id);
        }
        this.emit("activeSpeakers", event.participants);
        break;
      case "moved":
        this.#moved(event.node, event.generation, event.reason);
        break;
      case "closed":
        this.#end(event.reason, undefined);
        break;
    }
    this.#sync();
  }

  #joined(info: ParticipantInfo): void {
    if (info.id === this.participantId) return;
    let participant = this.participants.get(info.id);
    if (!participant) {
      participant = new RemoteParticipant(info);
      this.participants.set(info.id, participant);
      this.emit("participantJoined", participant);
    }
    const present = new Set(info.tracks.map((track) => track.id));
    for (const id of [...participant.tracks.keys()])
      if (!present.has(id)) this.#trackUnpublished(participant, id);
    for (const track of info.tracks) this.#trackPublished(participant, track);
  }

  #left(id: string, reason: string): void {
    const participant = this.participants.get(id);
    if (!participant) return;
    for (const track of [...participant.tracks.keys()]) this.#trackUnpublished(participant, track);
    this.participants.delete(id);
    this.emit("participantLeft", { participant, reason });
  }

  #trackPublished(participant: RemoteParticipant, info: TrackInfo): void {
    const known = participant.tracks.get(info.id);
    if (known) {
      if (known.muted !== info.muted) {
        known.muted = info.muted;
        this.emit("trackMuted", known);
      }
      return;
    }
    const track = new RemoteTrack(info, participant);
    track.subscribed = this.#options.autoSubscribe ?? true;
    track.maxHeight = track.kind === "video" ? (this.#options.maxHeight ?? 0) : 0;
    participant.tracks.set(track.id, track);
    this.emit("trackPublished", track);
  }

  #trackUnpublished(participant: RemoteParticipant, id: string): void {
    const track = participant.tracks.get(id);
    if (!track) return;
    participant.tracks.delete(id);
    this.#detach(track);
    this.emit("trackUnpublished", track);
  }

  #moved(node: NodeInfo, generation: number, reason: string): void {
    if (!this.#session || generation <= this.#session.generation) return;
    this.#session = { ...this.#session, generation, node };
    this.#node = node;
    this.#set("moving", reason);
    this.#newLink(this.#session);
    this.emit("node", node);
    this.emit("moved", { node, reason });
    this.#renegotiate().catch((error: unknown) => this.#warn(error));
  }

  // ---- media ----

  #newLink(session: SessionInfo): void {
    this.#dropLink();
    const link: Link = new Link(
      session.iceServers,
      {
        state: (state) => this.#transport(link, state),
        message: (message, reliable) =>
          this.emit("message", { ...message, participant: this.participants.get(message.sender), reliable }),
        channelOpen: () => this.#drain(),
      },
      this.#options.peer ?? ((configuration) => new RTCPeerConnection(configuration)),
    );
    this.#link = link;
    this.#iceRestart = false;
    this.#tracker = new StatsTracker();
    this.#ledger?.begin(Date.now());
    this.#measuredAt = Date.now();
  }

  #dropLink(): void {
    clearTimeout(this.#mendTimer);
    this.#mendTimer = undefined;
    this.#link?.close();
    this.#link = undefined;
    // Their media ended with the connection; `trackSubscribed` comes again with the new one.
    for (const track of this.#remoteTracks()) track.media = undefined;
  }

  *#remoteTracks(): Generator<RemoteTrack> {
    for (const participant of this.participants.values()) yield* participant.tracks.values();
  }

  #wanted(): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>();
    if (this.#session?.grants.subscribe === false) return wanted;
    for (const track of this.#remoteTracks()) {
      if (track.subscribed)
        wanted.set(track.id, { track: track.id, kind: track.kind, maxHeight: track.maxHeight });
    }
    return wanted;
  }

  /** Soon brings the m-lines in line with what is wanted; many changes in one turn make one request. */
  #sync(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    queueMicrotask(() => {
      this.#syncing = false;
      const link = this.#link;
      // Before a link's first negotiation there is nothing to change; that negotiation describes it all.
      if (!link?.negotiated || this.#over()) return;
      const binding = link.bind(this.#wanted());
      this.#attach(link);
      if (binding.negotiate) this.#renegotiate().catch((error: unknown) => this.#warn(error));
      else if (binding.changed.length > 0) {
        this.#signalling
          ?.call("session.subscribe", { subscribe: binding.changed })
          .catch((error: unknown) => {
            // A lost connection is followed by a negotiation, which says it all again; a track that just ended needs nothing.
            if (!(error instanceof ConnectionError)) this.#warn(error);
          });
      }
    });
  }

  #attach(link: Link): void {
    for (const track of this.#remoteTracks()) {
      const media = track.subscribed ? link.media(track.id) : undefined;
      if (track.media === media) continue;
      if (media) {
        track.media = media;
        this.emit("trackSubscribed", track);
      } else {
        this.#detach(track);
      }
    }
  }

  #detach(track: RemoteTrack): void {
    if (!track.media) return;
    track.media = undefined;
    this.emit("trackUnsubscribed", track);
  }

  /** Negotiates, trying again while the orchestrator or the media node is away. */
  async #renegotiate(): Promise<void> {
    const began = Date.now();
    const backoff = new Backoff(300, 3_000);
    for (;;) {
      try {
        await this.#negotiations.request();
        return;
      } catch (error) {
        if (this.#over()) throw leftMeanwhile();
        const transient =
          error instanceof ConnectionError ||
          error instanceof TimeoutError ||
          error instanceof MediaNodeError;
        if (!transient || Date.now() - began > NEGOTIATE_FOR_MS) throw asChroomError(error);
        if (!(error instanceof ConnectionError)) this.#warn(error);
        await delay(backoff.next());
      }
    }
  }

  async #negotiate(): Promise<void> {
    const link = this.#link;
    const signalling = this.#signalling;
    if (!link || !signalling)
      throw new ConnectionError("connection-lost", "not connected", "Wait for the reconnect.");
    link.publish(this.published);
    link.bind(this.#wanted());
    const iceRestart = this.#iceRestart;
    const offer = await link.offer(iceRestart);
    const result = await signalling.call("session.negotiate", offer);
    // Moved meanwhile: the answer is of a connection that is closed. The move asked for a negotiation of its own.
    if (link !== this.#link) return;
    try {
      await link.answer(result.sdp, result.publish);
    } catch (error) {
      throw new TransportError(
        "bad-answer",
        `the media node's answer cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        "Report this with the versions of the browser and of the media node.",
        { cause: error },
      );
    }
    if (iceRestart) this.#iceRestart = false;
    this.#attach(link);
    for (const track of this.published) {
      if (track.id !== undefined) {
        signalling.call("session.mute", { track: track.id, muted: track.muted }).catch(() => undefined);
      }
    }
    if (link.pc.connectionState === "new" || link.pc.connectionState === "connecting")
      this.#mendAfter(CONNECT_MS, link);
    this.#sync();
  }

  #transport(link: Link, state: RTCPeerConnectionState): void {
    if (link !== this.#link) return;
    switch (state) {
      case "connected":
        clearTimeout(this.#mendTimer);
        this.#mendTimer = undefined;
        this.#mends = 0;
        this.#settle();
        break;
      case "disconnected":
        this.#mendAfter(DISCONNECTED_MS, link);
        break;
      case "failed":
        this.#mendAfter(0, link);
        break;
      default:
    }
  }

  #mendAfter(ms: number, link: Link): void {
    clearTimeout(this.#mendTimer);
    this.#mendTimer = setTimeout(() => this.#mend(link), ms);
  }

  /** First restarts ICE, then makes the connection anew; while the session stands, again and again. */
  #mend(link: Link): void {
    if (link !== this.#link || !this.#session || this.#over() || link.pc.connectionState === "connected")
      return;
    const reason = new TransportError(
      "media-connection-lost",
      `the media connection is ${link.pc.connectionState}`,
      "It is made again by itself. If that never works, UDP to the media node may be blocked here.",
    );
    this.#warn(reason);
    if (this.#state !== "connecting") this.#set("moving", reason.message);
    this.#mends += 1;
    if (this.#mends % 2 === 1 && link.pc.remoteDescription !== null) this.#iceRestart = true;
    else this.#newLink(this.#session);
    const current = this.#link;
    this.#renegotiate()
      .catch((error: unknown) => this.#warn(error))
      .finally(() => {
        if (current === this.#link) this.#mendAfter(CONNECT_MS, current);
      });
  }

  /** Says `connected` once both the orchestrator and the media node are. */
  #settle(): void {
    if (this.#over() || !this.#signalling?.open) return;
    const transport = this.#link?.pc.connectionState;
    if (transport === "connected") this.#set("connected", "media flows");
    else if (this.#state === "reconnecting") this.#set("moving", "the media connection is being made");
  }

  #drain(): void {
    const queued = this.#queued;
    this.#queued = [];
    for (const bytes of queued) {
      if (this.#link?.channelReady(true)) this.#link.send(bytes, true);
      else this.#queued.push(bytes);
    }
  }

  // ---- measurement ----

  #schedule(): void {
    clearInterval(this.#receiptTimer);
    clearInterval(this.#qualityTimer);
    const interval = Math.min(Math.max(this.#session?.receiptIntervalMs ?? 5_000, 1_000), 30_000);
    this.#receiptTimer = setInterval(
      () => void this.#receipt().catch((error: unknown) => this.#warn(error)),
      interval,
    );
    this.#qualityTimer = setInterval(() => void this.#measure().catch(() => undefined), QUALITY_MS);
  }

  async #measure(): Promise<void> {
    const link = this.#link;
    const tracker = this.#tracker;
    if (!link) return;
    const report = await link.pc.getStats();
    if (link !== this.#link) return;
    const now = Date.now();
    const event = quality(tracker.advance(entries(report)), now, now - this.#measuredAt, (stream) =>
      link.trackOn(stream.mid, stream.trackIdentifier),
    );
    this.#measuredAt = now;
    this.#lastQuality = event;
    this.emit("quality", event);
    this.#revive(link, event, now);
  }

  /** Asks again for tracks that should flow and don't. */
  #revive(link: Link, event: Quality, now: number): void {
    const flowing = new Map<string, boolean>();
    for (const track of this.#remoteTracks()) {
      if (track.media && !track.muted) flowing.set(track.id, (event.tracks.get(track.id)?.kbps ?? 0) > 0);
    }
    const lines = this.#stalls.due(flowing, now).map((track) => link.line(track));
    const subscribe = lines.filter((line) => line !== undefined);
    if (subscribe.length === 0 || this.#state !== "connected") return;
    this.#signalling?.call("session.subscribe", { subscribe }).catch(() => undefined);
  }

  async #receipt(): Promise<void> {
    const link = this.#link;
    const ledger = this.#ledger;
    const node = this.#node;
    if (!link || !ledger || !node) return;
    const report = await link.pc.getStats();
    if (link !== this.#link) return;
    const receipt = await ledger.close(node.id, Date.now(), entries(report));
    if (receipt) this.emit("receipt", receipt);
    this.#flush();
  }

  #flush(): void {
    const signalling = this.#signalling;
    const ledger = this.#ledger;
    if (!signalling?.open || !ledger) return;
    void ledger.flush(
      async (receipt) => {
        await signalling.call("session.receipt", { ...receipt });
        this.emit("receiptTaken", receipt);
      },
      (error) => {
        if (error instanceof ReceiptError) this.#warn(error);
        // Whatever the orchestrator answered, it will answer again; only silence is worth another attempt.
        return !(error instanceof ConnectionError || error instanceof TimeoutError);
      },
    );
  }

  // ---- ends ----

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
    clearInterval(this.#receiptTimer);
    clearInterval(this.#qualityTimer);
    for (const track of this.published) track.stop();
    this.published.clear();
    this.#dropLink();
    this.#set("closed", reason);
    this.#signalling?.close();
    this.#signalling = undefined;
    this.emit("closed", { reason, error });
  }
}

function leftMeanwhile(): SessionError {
  return new SessionError("closed", "the room was left meanwhile", "");
}

function asChroomError(error: unknown): ChroomError {
  if (error instanceof ChroomError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ChroomError("unexpected", message, "Report this, please.", { cause: error });
}

function first(tracks: LocalTrack[]): LocalTrack {
  const track = tracks[0];
  if (!track) throw new ChroomError("unexpected", "nothing was published", "Report this, please.");
  return track;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
