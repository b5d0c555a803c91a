import { LOSSY, RELIABLE, unframe, type Framed } from "./data.js";
import type { Kind, Priority, PublishedMid, SubscribedMid } from "./protocol.js";
import { prefer } from "./codecs.js";
import { Demand } from "./demand.js";
import { encodings } from "./simulcast.js";
import { withStartBitrate } from "./start-bitrate.js";
import type { LocalTrack } from "./local-track.js";

/**
 * Rate that sending begins with, kb/s. Always the same: the browser would begin anew with another one. Each encoding's own limit still holds, and
 * congestion control corrects it within a second where the line gives less.
 */
const START_KBPS = 1_500;

/** Makes peer connections; tests put something else in its place. */
export type PeerFactory = (configuration: RTCConfiguration) => RTCPeerConnection;

/** What a link tells its room. */
export interface LinkHandlers {
  /** The connection's state changed. */
  state(state: RTCPeerConnectionState): void;
  message(message: Framed, reliable: boolean): void;
  channelOpen(): void;
}

/** An m-line that we receive on. */
interface Receiver {
  transceiver: RTCRtpTransceiver;
  kind: Kind;
  /** Track that it should carry; undefined if it is free. */
  track: string | undefined;
  maxHeight: number;
  priority: Priority;
}

/** A wanted track. */
export interface Wanted {
  track: string;
  kind: Kind;
  maxHeight: number;
  priority: Priority;
}

/** What `bind` did. */
export interface Binding {
  /** M-lines that exist at the far side and carry something else now. */
  changed: SubscribedMid[];
  /** Tracks that got an m-line now. */
  bound: string[];
  /** Whether m-lines were added, so that a negotiation is due. */
  negotiate: boolean;
}

/** One peer connection to one media node, and which m-line of it is for what. */
export class Link {
  readonly pc: RTCPeerConnection;
  readonly #senders = new Map<LocalTrack, RTCRtpTransceiver>();
  readonly #idleSenders: { transceiver: RTCRtpTransceiver; shape: string }[] = [];
  readonly #receivers: Receiver[] = [];
  readonly #reliable: RTCDataChannel;
  readonly #lossy: RTCDataChannel;
  readonly #handlers: LinkHandlers;
  readonly #demands = new WeakMap<RTCRtpSender, Demand>();
  #negotiated = false;
  #closed = false;

  constructor(iceServers: RTCIceServer[], handlers: LinkHandlers, factory: PeerFactory) {
    this.#handlers = handlers;
    this.pc = factory({ iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    this.pc.onconnectionstatechange = () => {
      if (!this.#closed) handlers.state(this.pc.connectionState);
    };
    this.#reliable = this.#channel(RELIABLE, {});
    this.#lossy = this.#channel(LOSSY, { ordered: false, maxRetransmits: 0 });
    // A media node may answer on channels of its own instead of on ours.
    this.pc.ondatachannel = (event) => this.#listen(event.channel);
  }

  /** Whether an answer was applied. */
  get negotiated(): boolean {
    return this.#negotiated;
  }

  /** Whether a message can be sent now. */
  channelReady(reliable: boolean): boolean {
    return (reliable ? this.#reliable : this.#lossy).readyState === "open";
  }

  /** Sends on a channel that is ready. */
  send(payload: Uint8Array<ArrayBuffer>, reliable: boolean): void {
    (reliable ? this.#reliable : this.#lossy).send(payload);
  }

  /** Gives each local track an m-line; true if one was added or is used anew, so that a negotiation is due. */
  publish(tracks: Iterable<LocalTrack>): boolean {
    let negotiate = false;
    for (const track of tracks) {
      if (this.#senders.has(track)) continue;
      const parameters = encodings(track.source, track.settings);
      const shape = `${track.kind} ${track.source} ${parameters.map((one) => one.rid ?? "").join()}`;
      const idle = this.#idleSenders.findIndex((one) => one.shape === shape);
      const reused = idle >= 0 ? this.#idleSenders.splice(idle, 1)[0]?.transceiver : undefined;
      const transceiver =
        reused ??
        prefer(
          this.pc.addTransceiver(track.kind, { direction: "sendonly", sendEncodings: parameters }),
          track.kind,
        );
      this.#senders.set(track, transceiver);
      negotiate = true;
      // Whoever watched the last one need not watch this one: it begins with all of its layers.
      if (reused && track.kind === "video")
        void this.#demandOn(reused.sender)
          .set([], false)
          .catch(() => undefined);
      void this.feed(track);
    }
    return negotiate;
  }

  /** Sends what the track has now: its media, or nothing while it is muted without a device. */
  async feed(track: LocalTrack): Promise<void> {
    const sender = this.#senders.get(track)?.sender;
    const media = track.sending;
    if (!sender || sender.track === media) return;
    try {
      await sender.replaceTrack(media);
    } catch (error) {
      // Refused on a closed connection only: its successor is fed by `publish`.
      if (!this.#closed) throw error;
    }
  }

  /** Sends only these layers of a video, or nothing, because nobody watches the rest. */
  async want(id: string, layers: string[], paused: boolean): Promise<void> {
    for (const [track, { sender }] of this.#senders) {
      if (track.id !== id || track.kind !== "video") continue;
      try {
        await this.#demandOn(sender).set(layers, paused);
      } catch (error) {
        // Refused on a closed connection only: its successor begins with all layers.
        if (!this.#closed) throw error;
      }
    }
  }

  /** Stops sending a track; its m-line stays for the next one of its shape. */
  unpublish(track: LocalTrack): void {
    const transceiver = this.#senders.get(track);
    if (!transceiver) return;
    this.#senders.delete(track);
    const shape = `${track.kind} ${track.source} ${encodings(track.source, track.settings)
      .map((one) => one.rid ?? "")
      .join()}`;
    this.#idleSenders.push({ transceiver, shape });
    void transceiver.sender.replaceTrack(null).catch(() => undefined);
  }

  /** Makes the m-lines carry the wanted tracks, using free ones first. */
  bind(wanted: Map<string, Wanted>): Binding {
    const changed = new Map<Receiver, boolean>();
    const bound: string[] = [];
    let negotiate = false;
    for (const receiver of this.#receivers) {
      const want = receiver.track === undefined ? undefined : wanted.get(receiver.track);
      if (receiver.track !== undefined && !want) {
        receiver.track = undefined;
        changed.set(receiver, true);
      } else if (want && (want.maxHeight !== receiver.maxHeight || want.priority !== receiver.priority)) {
        receiver.maxHeight = want.maxHeight;
        receiver.priority = want.priority;
        changed.set(receiver, true);
      }
    }
    const carried = new Set(this.#receivers.map((receiver) => receiver.track));
    for (const want of wanted.values()) {
      if (carried.has(want.track)) continue;
      let receiver = this.#receivers.find((one) => one.track === undefined && one.kind === want.kind);
      if (!receiver) {
        receiver = {
          transceiver: prefer(this.pc.addTransceiver(want.kind, { direction: "recvonly" }), want.kind),
          kind: want.kind,
          track: undefined,
          maxHeight: 0,
          priority: "medium",
        };
        this.#receivers.push(receiver);
        negotiate = true;
      }
      receiver.track = want.track;
      receiver.maxHeight = want.maxHeight;
      receiver.priority = want.priority;
      changed.set(receiver, true);
      bound.push(want.track);
    }
    const lines: SubscribedMid[] = [];
    for (const receiver of changed.keys()) {
      // Without a mid it was not negotiated yet: the offer that is due names it.
      if (receiver.transceiver.currentDirection === null || receiver.transceiver.mid === null)
        negotiate = true;
      else lines.push(line(receiver, receiver.transceiver.mid));
    }
    return { changed: lines, bound, negotiate };
  }

  /** How the m-line of a track is described, once it is negotiated. */
  line(track: string): SubscribedMid | undefined {
    const receiver = this.#receivers.find((one) => one.track === track);
    const mid = receiver?.transceiver.currentDirection == null ? null : receiver.transceiver.mid;
    return receiver && mid !== null ? line(receiver, mid) : undefined;
  }

  /** The media of a subscribed track, once it has an m-line. */
  media(track: string): MediaStreamTrack | undefined {
    return this.#receivers.find((receiver) => receiver.track === track)?.transceiver.receiver.track;
  }

  /** Whether what comes of a subscribed track can be shown: pictures after the first key frame, sound from its first packet on. */
  async flows(track: string): Promise<boolean> {
    const media = this.media(track);
    if (!media || this.#closed || media.muted) return false;
    if (media.kind === "audio") return true;
    for (const stat of (await this.pc.getStats(media)).values() as Iterable<RTCInboundRtpStreamStats>) {
      if (stat.type === "inbound-rtp" && (stat.framesDecoded ?? 0) > 0) return true;
    }
    return false;
  }

  /** The track that an m-line carries. */
  trackOn(mid: string | undefined, trackIdentifier: string | undefined): string | undefined {
    return this.#receivers.find((receiver) =>
      mid === undefined
        ? receiver.transceiver.receiver.track.id === trackIdentifier
        : receiver.transceiver.mid === mid,
    )?.track;
  }

  /** Makes and applies an offer; the result says what each of its m-lines is for. */
  async offer(
    iceRestart: boolean,
  ): Promise<{ sdp: string; publish: PublishedMid[]; subscribe: SubscribedMid[] }> {
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart }));
    const publish: PublishedMid[] = [];
    for (const [track, transceiver] of this.#senders) {
      if (transceiver.mid === null) continue;
      publish.push({
        mid: transceiver.mid,
        ...(track.id === undefined ? {} : { track: track.id }),
        source: track.source,
      });
    }
    const subscribe: SubscribedMid[] = [];
    for (const receiver of this.#receivers) {
      if (receiver.transceiver.mid !== null) subscribe.push(line(receiver, receiver.transceiver.mid));
    }
    return { sdp: this.pc.localDescription?.sdp ?? "", publish, subscribe };
  }

  /**
   * Applies the answer and notes the ids that our tracks were given. Gives the ids for which there is no track any more: it
   * was unpublished meanwhile.
   */
  async answer(sdp: string, published: { mid: string; track: string }[]): Promise<string[]> {
    const orphans = new Map(published.map(({ mid, track }) => [mid, track]));
    for (const [track, transceiver] of this.#senders) {
      const given = transceiver.mid === null ? undefined : orphans.get(transceiver.mid);
      if (given === undefined || transceiver.mid === null) continue;
      track.id = given;
      orphans.delete(transceiver.mid);
    }
    await this.pc.setRemoteDescription({ type: "answer", sdp: withStartBitrate(sdp, START_KBPS) });
    this.#negotiated = true;
    return [...orphans.values()];
  }

  /** Closes the connection; nothing is reported afterwards. */
  close(): void {
    this.#closed = true;
    this.pc.onconnectionstatechange = null;
    this.pc.ondatachannel = null;
    this.pc.close();
  }

  #demandOn(sender: RTCRtpSender): Demand {
    const known = this.#demands.get(sender);
    if (known) return known;
    const demand = new Demand(sender);
    this.#demands.set(sender, demand);
    return demand;
  }

  #channel(label: string, options: RTCDataChannelInit): RTCDataChannel {
    const channel = this.pc.createDataChannel(label, options);
    channel.onopen = () => {
      if (!this.#closed) this.#handlers.channelOpen();
    };
    this.#listen(channel);
    return channel;
  }

  #listen(channel: RTCDataChannel): void {
    channel.binaryType = "arraybuffer";
    const reliable = channel.label !== LOSSY;
    channel.onmessage = (event: MessageEvent) => {
      const message = event.data instanceof ArrayBuffer ? unframe(event.data) : undefined;
      if (message && !this.#closed) this.#handlers.message(message, reliable);
    };
  }
}

function line(receiver: Receiver, mid: string): SubscribedMid {
  const line: SubscribedMid = { mid, track: receiver.track ?? "" };
  if (receiver.kind === "video" && receiver.track !== undefined) {
    if (receiver.maxHeight > 0) line.maxHeight = receiver.maxHeight;
    if (receiver.priority !== "medium") line.priority = receiver.priority;
  }
  return line;
}
