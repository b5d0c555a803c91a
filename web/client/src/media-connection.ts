import { Backoff } from "./backoff.js";
import { ConnectionError, MediaNodeError, TimeoutError, TransportError, asChroomError } from "./errors.js";
import { Handover } from "./handover.js";
import { Link, type LinkHandlers, type PeerFactory, type Wanted } from "./link.js";
import { Mending } from "./mending.js";
import { NegotiationQueue } from "./negotiation.js";
import type { LocalTrack } from "./local-track.js";
import type { SessionInfo } from "./protocol.js";
import type { Publications } from "./publications.js";
import type { Roster } from "./roster.js";
import type { Signalling } from "./signalling.js";

/** How long the media connection may be `disconnected` before it is mended. */
const DISCONNECTED_MS = 4_000;
/** How long a mended or new connection may take. */
const CONNECT_MS = 8_000;
/** How long a failing negotiation is tried again. */
const NEGOTIATE_FOR_MS = 45_000;

/** The call that a media connection is of, as it stands at the moment. */
export interface Call {
  readonly session: SessionInfo | undefined;
  readonly signalling: Signalling | undefined;
  /** Why nothing is to be done any more, once that is so. */
  readonly over: Error | undefined;
}

/** What a media connection tells its room. */
export interface MediaHandlers extends Omit<LinkHandlers, "state"> {
  /** Another connection takes the place of the last one. */
  begun(): void;
  /** It is up. */
  up(): void;
  /** It is down, and is being mended. */
  down(reason: TransportError): void;
  readonly warn: (error: unknown) => void;
}

/** The media connection of a call: one link after the other, each brought in line with what is published and wanted. */
export class MediaConnection {
  readonly #negotiations = new NegotiationQueue(() => this.#negotiate());
  readonly #mending = new Mending((link) => this.#mend(link));
  #link: Link | undefined;
  #handover: Handover | undefined;
  #iceRestart = false;
  #syncing = false;

  constructor(
    private readonly call: () => Call,
    private readonly roster: Roster,
    private readonly publications: Publications,
    private readonly handlers: MediaHandlers,
    private readonly peer: PeerFactory = (configuration) => new RTCPeerConnection(configuration),
  ) {}

  /** The link of the moment. */
  get link(): Link | undefined {
    return this.#link;
  }

  /**
   * Makes a new link. Where the call goes to another media node (`moves`) and the old link is up, that goes on until the new one has its media;
   * otherwise it is closed.
   */
  begin(session: SessionInfo, moves = false): void {
    const old = moves && this.#link?.pc.connectionState === "connected" ? this.#link : undefined;
    if (old) {
      this.#mending.cancel();
      this.#handover?.end();
      this.#handover = undefined;
    } else {
      this.end();
    }
    const link: Link = new Link(
      session.iceServers,
      {
        state: (state) => this.#transport(link, state),
        message: (message, reliable) => this.handlers.message(message, reliable),
        channelOpen: () => this.handlers.channelOpen(),
      },
      this.peer,
    );
    this.#link = link;
    this.#iceRestart = false;
    this.roster.paused([]);
    if (old) {
      this.#handover = new Handover(old, link, () => this.#wanted().keys(), {
        taken: () => this.#attach(),
        over: () => this.#settled(),
      });
    }
    this.handlers.begun();
  }

  /** Sends what a track has now. */
  async feed(track: LocalTrack): Promise<void> {
    await Promise.all([this.#handover?.old.feed(track), this.#link?.feed(track)]);
  }

  /** Stops sending a track. */
  unpublish(track: LocalTrack): void {
    this.#handover?.old.unpublish(track);
    this.#link?.unpublish(track);
  }

  /** What messages are sent over: the old link until the new one takes them. */
  get messages(): Link | undefined {
    return this.#link?.channelReady(true) ? this.#link : (this.#handover?.old ?? this.#link);
  }

  /** The new link has what there is to have. */
  #settled(): void {
    this.#handover?.end();
    this.#handover = undefined;
    this.#attach();
  }

  #attach(): void {
    const from = this.#handover ?? this.#link;
    if (from) this.roster.attach(from);
  }

  /** Closes the link, and the one before it. */
  end(): void {
    this.#mending.cancel();
    this.#handover?.end();
    this.#handover = undefined;
    this.#link?.close();
    this.#link = undefined;
    this.roster.mediaEnded();
  }

  /** Soon brings the m-lines in line with what is wanted; many changes in one turn make one request. */
  sync(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    queueMicrotask(() => {
      this.#syncing = false;
      const link = this.#link;
      const { over, signalling } = this.call();
      // Before a link's first negotiation there is nothing to change; that negotiation describes it all.
      if (!link?.negotiated || over) return;
      const binding = link.bind(this.#wanted());
      this.#attach();
      if (binding.negotiate) this.negotiate().catch(this.handlers.warn);
      else if (binding.changed.length > 0) {
        signalling?.call("session.subscribe", { subscribe: binding.changed }).catch((error: unknown) => {
          // A lost connection is followed by a negotiation, which says it all again; a track that just ended needs nothing.
          if (!(error instanceof ConnectionError)) this.handlers.warn(error);
        });
      }
    });
  }

  /** Negotiates, trying again while the orchestrator or the media node is away. */
  async negotiate(): Promise<void> {
    const began = Date.now();
    const backoff = new Backoff(300, 3_000);
    for (;;) {
      try {
        await this.#negotiations.request();
        return;
      } catch (error) {
        const { over } = this.call();
        if (over) throw over;
        const transient =
          error instanceof ConnectionError ||
          error instanceof TimeoutError ||
          error instanceof MediaNodeError;
        if (!transient || Date.now() - began > NEGOTIATE_FOR_MS) throw asChroomError(error);
        if (!(error instanceof ConnectionError)) this.handlers.warn(error);
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  }

  #wanted(): Map<string, Wanted> {
    return this.call().session?.grants.subscribe === false ? new Map<string, Wanted>() : this.roster.wanted();
  }

  async #negotiate(): Promise<void> {
    const link = this.#link;
    const { signalling } = this.call();
    if (!link || !signalling)
      throw new ConnectionError("connection-lost", "not connected", "Wait for the reconnect.");
    link.publish(this.publications.tracks);
    link.bind(this.#wanted());
    const iceRestart = this.#iceRestart;
    const offer = await link.offer(iceRestart);
    const result = await signalling.call("session.negotiate", offer);
    // Moved meanwhile: the answer is of a connection that is closed. The move asked for a negotiation of its own.
    if (link !== this.#link) return;
    let orphans: string[];
    try {
      orphans = await link.answer(result.sdp, result.publish);
    } catch (error) {
      throw new TransportError(
        "bad-answer",
        `the media node's answer cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        "Report this with the versions of the browser and of the media node.",
        { cause: error },
      );
    }
    if (iceRestart) this.#iceRestart = false;
    // Unpublished while they were negotiated: the orchestrator has them now, and nobody else would tell it.
    for (const id of orphans) void this.publications.end(id, signalling).catch(() => undefined);
    this.#attach();
    for (const track of this.publications.tracks) {
      if (track.id !== undefined) {
        signalling.call("session.mute", { track: track.id, muted: track.muted }).catch(() => undefined);
      }
    }
    if (link.pc.connectionState === "new" || link.pc.connectionState === "connecting")
      this.#mending.after(CONNECT_MS, link);
    this.sync();
  }

  #transport(link: Link, state: RTCPeerConnectionState): void {
    if (link !== this.#link) return;
    switch (state) {
      case "connected":
        this.#mending.healed();
        this.handlers.up();
        break;
      case "disconnected":
        this.#mending.after(DISCONNECTED_MS, link);
        break;
      case "failed":
        this.#mending.after(0, link);
        break;
      default:
    }
  }

  /** First restarts ICE, then makes the connection anew; while the session stands, again and again. */
  #mend(link: Link): void {
    const { session, over } = this.call();
    if (link !== this.#link || !session || over || link.pc.connectionState === "connected") return;
    this.handlers.down(
      new TransportError(
        "media-connection-lost",
        `the media connection is ${link.pc.connectionState}`,
        "It is made again by itself. If that never works, UDP to the media node may be blocked here.",
      ),
    );
    if (this.#mending.restarts() && link.pc.remoteDescription !== null) this.#iceRestart = true;
    else this.begin(session);
    const current = this.#link;
    this.negotiate()
      .catch(this.handlers.warn)
      .finally(() => {
        if (current === this.#link) this.#mending.after(CONNECT_MS, current);
      });
  }
}
