import { vi } from "vitest";
import type { Capture } from "../src/capture";
import type { NodeInfo, ParticipantInfo, PublishedMid, SessionEvent, TrackInfo } from "../src/protocol";
import type { Socket } from "../src/signalling";

/** A peer connection without media: m-lines, mids and states only. */
export class FakePeer {
  static all: FakePeer[] = [];
  connectionState: RTCPeerConnectionState = "new";
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  onconnectionstatechange: (() => void) | null = null;
  ondatachannel: unknown = null;
  closed = false;
  offers = 0;
  iceRestarts = 0;
  channels: FakeChannel[] = [];
  transceivers: FakeTransceiver[] = [];
  constructor() {
    FakePeer.all.push(this);
  }
  static get last(): FakePeer {
    return FakePeer.all.at(-1)!;
  }
  createDataChannel(label: string): FakeChannel {
    const channel = new FakeChannel(label);
    this.channels.push(channel);
    return channel;
  }
  addTransceiver(
    kind: string,
    init: { direction: string; sendEncodings?: RTCRtpEncodingParameters[] },
  ): FakeTransceiver {
    const transceiver = new FakeTransceiver(kind, init.direction, init.sendEncodings);
    this.transceivers.push(transceiver);
    return transceiver;
  }
  async createOffer(options?: { iceRestart?: boolean }): Promise<RTCSessionDescriptionInit> {
    this.offers += 1;
    if (options?.iceRestart) this.iceRestarts += 1;
    return { type: "offer", sdp: `offer ${this.offers}` };
  }
  async setLocalDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.localDescription = description;
    this.transceivers.forEach((transceiver, index) => (transceiver.mid ??= String(index + 1)));
  }
  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.remoteDescription = description;
    for (const transceiver of this.transceivers) transceiver.currentDirection = transceiver.direction;
  }
  /** Pictures of each track that were decoded. */
  decoded = new Map<unknown, number>();
  async getStats(track?: unknown): Promise<Map<string, unknown>> {
    if (track === undefined) return new Map();
    return new Map([["in", { type: "inbound-rtp", framesDecoded: this.decoded.get(track) ?? 0 }]]);
  }
  close(): void {
    this.closed = true;
  }
  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

export class FakeChannel {
  binaryType = "";
  readyState = "connecting";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  sent: Uint8Array[] = [];
  constructor(readonly label: string) {}
  send(data: Uint8Array): void {
    this.sent.push(data);
  }
  open(): void {
    this.readyState = "open";
    this.onopen?.();
  }
}

export class FakeTransceiver {
  mid: string | null = null;
  currentDirection: string | null = null;
  readonly receiver: { track: { id: string; kind: string; muted: boolean } };
  readonly sender = {
    track: null as unknown,
    replaceTrack: async (track: unknown) => {
      this.sender.track = track;
    },
    getParameters: () => ({ encodings: this.encodings.map((encoding) => ({ ...encoding })) }),
    setParameters: async (parameters: { encodings: RTCRtpEncodingParameters[] }) => {
      this.encodings = parameters.encodings;
    },
  };
  constructor(
    readonly kind: string,
    readonly direction: string,
    public encodings: RTCRtpEncodingParameters[] = [],
  ) {
    this.receiver = { track: { id: crypto.randomUUID(), kind, muted: true } };
  }
}

/** An orchestrator that answers like one, and whose failures a test sets. */
export class FakeOrchestrator {
  sockets: FakeSocket[] = [];
  calls: { method: string; params: Record<string, unknown> }[] = [];
  participants: ParticipantInfo[] = [];
  generation = 1;
  unreachable = false;
  refuse: Record<string, { code: number; message: string; data?: object } | undefined> = {};
  #tracks = 0;
  #sessions = 0;

  readonly open = (): Socket => {
    const socket = new FakeSocket(this);
    this.sockets.push(socket);
    setTimeout(() => (this.unreachable ? socket.drop() : socket.onopen?.({} as Event)), 1);
    return socket;
  };

  answer(method: string, params: Record<string, unknown>): unknown {
    this.calls.push({ method, params });
    const refused = this.refuse[method];
    if (refused) throw Object.assign(new Error(refused.message), { rpc: refused });
    switch (method) {
      case "session.join":
        this.#sessions += 1;
        return this.#session();
      case "session.resume":
        return this.#session();
      case "session.negotiate":
        return {
          sdp: "answer",
          publish: (params.publish as PublishedMid[]).map(({ mid, track }) => ({
            mid,
            track: track ?? `t${(this.#tracks += 1)}`,
          })),
        };
      default:
        return {};
    }
  }

  /** Calls of one method. */
  of(method: string): Record<string, unknown>[] {
    return this.calls.filter((call) => call.method === method).map(({ params }) => params);
  }

  event(event: SessionEvent): void {
    this.sockets
      .at(-1)
      ?.deliver({ jsonrpc: "2.0", method: "session.event", params: { subscription: 1, result: event } });
  }

  #session(): object {
    return {
      session: `s${this.#sessions}`,
      secret: "secret",
      participant: "me",
      room: "r",
      grants: { publish: true, subscribe: true, admin: false },
      node: node("0x01"),
      iceServers: [],
      generation: this.generation,
      participants: this.participants,
      receiptIntervalMs: 5_000,
    };
  }
}

export class FakeSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  constructor(private readonly orchestrator: FakeOrchestrator) {}
  send(data: string): void {
    const { id, method, params } = JSON.parse(data) as {
      id: number;
      method: string;
      params: Record<string, unknown>;
    };
    try {
      this.deliver({ jsonrpc: "2.0", id, result: this.orchestrator.answer(method, params) });
    } catch (error) {
      this.deliver({ jsonrpc: "2.0", id, error: (error as { rpc: object }).rpc });
    }
  }
  deliver(message: object): void {
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent), 1);
  }
  drop(): void {
    this.onclose?.({ code: 1006, reason: "" } as CloseEvent);
  }
  close(): void {
    this.onmessage = null;
  }
}

export function node(id: string): NodeInfo {
  return {
    id,
    cell: "",
    region: "eu",
    score: null,
    stake: "1",
    lastReward: null,
    version: "0",
    load: { cpu: 0, sessions: 0, rooms: 0, egressKbps: 0 },
    publicUrl: "",
  };
}

export function track(id: string, kind: "audio" | "video" = "video"): TrackInfo {
  return { id, kind, source: kind === "video" ? "camera" : "microphone", muted: false, layers: [] };
}

export function person(id: string, ...tracks: TrackInfo[]): ParticipantInfo {
  return { id, identity: id, name: id.toUpperCase(), tracks };
}

export function capture(source: "camera" | "microphone"): Capture {
  const media = {
    kind: source === "camera" ? "video" : "audio",
    enabled: true,
    readyState: "live",
    getSettings: () => ({ width: 1280, height: 720 }),
    stop: vi.fn(),
    addEventListener: vi.fn(),
  };
  return { source, track: media as unknown as MediaStreamTrack };
}
