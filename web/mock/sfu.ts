import type { NodeInfo, ParticipantInfo, SessionEvent, Source, TrackInfo } from "../client/src/protocol";
import { frame } from "../client/src/data";
import type { Socket } from "../client/src/signalling";

/*
 * An orchestrator and a media node inside the page, for work on the pages without a network: the signalling of docs/signalling.md behind
 * a socket-like object, and a peer connection per session that passes tracks and messages on. Never part of a build.
 */

interface Session {
  id: string;
  secret: string;
  participant: string;
  info: ParticipantInfo;
  pc: RTCPeerConnection;
  generation: number;
  media: Map<string, MediaStreamTrack>;
  channels: Map<string, RTCDataChannel>;
  socket: MockSocket | undefined;
  receipts: number;
}

export const NODES: NodeInfo[] = [
  node("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf", "831e81fffffffff", "eu-central", 97, "2500000000000000"),
  node("0x2b5ad5c4795c026514f8317c7a215e218dccd6cf", "832a10fffffffff", "us-east", 88, "1000500000000000"),
];

function node(id: string, cell: string, region: string, score: number, stake: string): NodeInfo {
  return {
    id,
    cell,
    region,
    score,
    stake,
    lastReward: { epoch: 41, amount: "12480031000000" },
    version: "0.1.0",
    load: { cpu: 0.23, sessions: 4, rooms: 1, egressKbps: 5_420 },
    publicUrl: "http://127.0.0.1:7600",
  };
}

const hex = (bytes: number) =>
  [...crypto.getRandomValues(new Uint8Array(bytes))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");

class Refusal extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly data?: object,
  ) {
    super(message);
  }
}

export class MockNetwork {
  readonly sessions = new Map<string, Session>();
  #generation = 1;
  #current = 0;

  /** What `new WebSocket` is replaced with. */
  readonly open = (): Socket => new MockSocket(this);

  get node(): NodeInfo {
    const current = NODES[this.#current % NODES.length];
    if (!current) throw new Error("no nodes");
    current.load = { ...current.load, cpu: 0.2 + Math.random() * 0.1, sessions: this.sessions.size };
    return current;
  }

  /** Moves every session to the next node, as after the loss of one. */
  move(reason: string): void {
    this.#current += 1;
    this.#generation += 1;
    for (const session of this.sessions.values()) {
      session.pc.close();
      session.pc = this.#peer(session);
      session.generation = this.#generation;
      session.media.clear();
      session.channels.clear();
      session.socket?.event({ type: "moved", node: this.node, generation: this.#generation, reason });
    }
  }

  /** Tells everyone who speaks. */
  speak(participants: string[]): void {
    for (const session of this.sessions.values())
      session.socket?.event({ type: "activeSpeakers", participants });
  }

  call(socket: MockSocket, method: string, params: Record<string, unknown>): unknown {
    switch (method) {
      case "session.events":
        return 1;
      case "session.join":
        return this.#join(socket, String(params.token));
      case "session.resume": {
        const session = this.sessions.get(String(params.session));
        if (!session || session.secret !== params.secret) throw new Refusal(-32005, "no such session");
        session.socket = socket;
        socket.session = session;
        return this.#describe(session);
      }
      default:
    }
    const session = socket.session;
    if (!session) throw new Refusal(-32005, "join first");
    switch (method) {
      case "session.negotiate":
        return this.#negotiate(session, params as never);
      case "session.subscribe":
        return this.#subscribe(session, params.subscribe as never);
      case "session.mute": {
        const track = session.info.tracks.find((one) => one.id === params.track);
        if (track) track.muted = params.muted === true;
        this.#others(session, {
          type: "trackMuted",
          participant: session.participant,
          track: String(params.track),
          muted: params.muted === true,
        });
        return {};
      }
      case "session.unpublish":
        session.info.tracks = session.info.tracks.filter((one) => one.id !== params.track);
        this.#others(session, {
          type: "trackUnpublished",
          participant: session.participant,
          track: String(params.track),
        });
        return {};
      case "session.receipt":
        session.receipts += 1;
        return {};
      case "session.leave":
        this.sessions.delete(session.id);
        session.pc.close();
        this.#others(session, { type: "participantLeft", participant: session.participant, reason: "left" });
        return {};
      case "node.info":
        return this.node;
      default:
        throw new Refusal(-32601, `no method ${method}`);
    }
  }

  #join(socket: MockSocket, token: string): unknown {
    if (token === "expired") {
      throw new Refusal(-32002, "the access token expired at 12:00:00", {
        reason: "token-expired",
        hint: "Ask the application for a new access token.",
      });
    }
    const participant = `p-${hex(4)}`;
    const session: Session = {
      id: hex(16),
      secret: hex(16),
      participant,
      info: { id: participant, identity: token, name: token, tracks: [] },
      pc: undefined as unknown as RTCPeerConnection,
      generation: this.#generation,
      media: new Map(),
      channels: new Map(),
      socket,
      receipts: 0,
    };
    session.pc = this.#peer(session);
    this.sessions.set(session.id, session);
    socket.session = session;
    this.#others(session, { type: "participantJoined", participant: session.info });
    return this.#describe(session);
  }

  #describe(session: Session): unknown {
    return {
      session: session.id,
      secret: session.secret,
      participant: session.participant,
      room: "mock",
      grants: { publish: true, subscribe: true, admin: false },
      node: this.node,
      iceServers: [],
      generation: session.generation,
      participants: [...this.sessions.values()].map((one) => one.info),
      receiptIntervalMs: 5_000,
    };
  }

  #peer(session: Session): RTCPeerConnection {
    const pc = new RTCPeerConnection();
    pc.ondatachannel = ({ channel }) => {
      channel.binaryType = "arraybuffer";
      session.channels.set(channel.label, channel);
      channel.onmessage = (event: MessageEvent<ArrayBuffer>) => {
        const framed = frame(session.participant, new Uint8Array(event.data));
        for (const other of this.sessions.values()) {
          if (other !== session) other.channels.get(channel.label)?.send(framed);
        }
      };
    };
    return pc;
  }

  async #negotiate(
    session: Session,
    params: {
      sdp: string;
      publish: { mid: string; track?: string; source: Source }[];
      subscribe: { mid: string; track: string }[];
    },
  ): Promise<unknown> {
    const { pc } = session;
    await pc.setRemoteDescription({ type: "offer", sdp: params.sdp });
    const published: TrackInfo[] = [];
    const given = params.publish.map(({ mid, track, source }) => {
      const id = track ?? `t-${hex(4)}`;
      const transceiver = pc.getTransceivers().find((one) => one.mid === mid);
      if (transceiver) session.media.set(id, transceiver.receiver.track);
      if (!session.info.tracks.some((one) => one.id === id)) {
        const kind = source === "microphone" || source === "screen-audio" ? "audio" : "video";
        published.push({ id, kind, source, muted: false, layers: kind === "video" ? ["q", "h", "f"] : [] });
      }
      return { mid, track: id };
    });
    for (const transceiver of pc.getTransceivers()) {
      if (params.subscribe.some((one) => one.mid === transceiver.mid)) transceiver.direction = "sendonly";
    }
    this.#subscribe(session, params.subscribe);
    await pc.setLocalDescription(await pc.createAnswer());
    await new Promise<void>((resolve) => {
      if (pc.iceGatheringState === "complete") resolve();
      else {
        pc.onicegatheringstatechange = () => {
          if (pc.iceGatheringState === "complete") resolve();
        };
      }
    });
    session.info.tracks.push(...published);
    setTimeout(() => {
      for (const track of published) {
        this.#others(session, { type: "trackPublished", participant: session.participant, track });
      }
    }, 50);
    return { sdp: pc.localDescription?.sdp, publish: given };
  }

  #subscribe(session: Session, list: { mid: string; track: string }[]): object {
    for (const { mid, track } of list) {
      const sender = session.pc.getTransceivers().find((one) => one.mid === mid)?.sender;
      const media = [...this.sessions.values()]
        .map((one) => one.media.get(track))
        .find((one) => one !== undefined);
      void sender?.replaceTrack(media ?? null);
    }
    return {};
  }

  #others(session: Session, event: SessionEvent): void {
    for (const other of this.sessions.values()) if (other !== session) other.socket?.event(event);
  }
}

export class MockSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  session: Session | undefined;

  constructor(private readonly network: MockNetwork) {
    setTimeout(() => this.onopen?.(new Event("open")), 5);
  }

  send(data: string): void {
    void this.#answer(JSON.parse(data) as { id: number; method: string; params: Record<string, unknown> });
  }

  event(event: SessionEvent): void {
    this.#deliver({ jsonrpc: "2.0", method: "session.event", params: { subscription: 1, result: event } });
  }

  close(): void {
    if (this.session) this.session.socket = undefined;
  }

  /** Breaks the connection as a failing network does. */
  break(): void {
    this.close();
    this.onclose?.(new CloseEvent("close", { code: 1006 }));
  }

  async #answer(request: { id: number; method: string; params: Record<string, unknown> }): Promise<void> {
    try {
      const result = await this.network.call(this, request.method, request.params);
      this.#deliver({ jsonrpc: "2.0", id: request.id, result });
    } catch (error) {
      this.#deliver({
        jsonrpc: "2.0",
        id: request.id,
        error:
          error instanceof Refusal
            ? { code: error.code, message: error.message, data: error.data }
            : { code: -32603, message: String(error) },
      });
    }
  }

  #deliver(message: object): void {
    setTimeout(() => this.onmessage?.(new MessageEvent("message", { data: JSON.stringify(message) })), 2);
  }
}
