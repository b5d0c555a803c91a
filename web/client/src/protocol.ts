/** The shapes of docs/signalling.md: what goes over the WebSocket between a client and an orchestrator. */

/** What a track shows or carries. */
export type Source = "camera" | "microphone" | "screen" | "screen-audio";

/** Kind of media. */
export type Kind = "audio" | "video";

/**
 * How much a video is wanted before the others, on the scale of W3C's `RTCPriorityType`. Where the line is narrow, what comes last is paused
 * first, and what comes first gets its better layers first. Sound goes before all videos.
 */
export type Priority = "very-low" | "low" | "medium" | "high";

/** A published track, as the room sees it. */
export interface TrackInfo {
  id: string;
  kind: Kind;
  source: Source;
  muted: boolean;
  /** Simulcast layers, lowest first; empty without simulcast. */
  layers: string[];
}

/** A participant, as the room sees it. */
export interface ParticipantInfo {
  id: string;
  identity: string;
  name: string;
  tracks: TrackInfo[];
}

/** The media node that serves a session, as the chain and the registry know it. */
export interface NodeInfo {
  /** `0x` and 40 hex digits. */
  id: string;
  /** H3 cell, hex. */
  cell: string;
  region: string;
  /** 0 to 100; null before the first epoch. */
  score: number | null;
  /** Bond in the smallest unit of CHR (10^-12), decimal text. */
  stake: string;
  lastReward: { epoch: number; amount: string } | null;
  version: string;
  load: {
    /** 0 to 1. */
    cpu: number;
    sessions: number;
    rooms: number;
    egressKbps: number;
  };
  publicUrl: string;
}

/** What the token allows. */
export interface Grants {
  publish: boolean;
  subscribe: boolean;
  admin: boolean;
}

/** The answer to `session.join` and `session.resume`. */
export interface SessionInfo {
  /** 32 hex digits. */
  session: string;
  /** Proves at `session.resume` that the session is ours. */
  secret: string;
  /** Our own participant id. */
  participant: string;
  room: string;
  grants: Grants;
  node: NodeInfo;
  iceServers: RTCIceServer[];
  /** Grows by one each time the session moves to another media node. */
  generation: number;
  /** Everyone in the room; whether we are among them does not matter. */
  participants: ParticipantInfo[];
  receiptIntervalMs: number;
}

/** What an m-line that we send on carries. */
export interface PublishedMid {
  mid: string;
  /** Absent the first time; afterwards the id that the orchestrator gave. */
  track?: string;
  source: Source;
}

/** What an m-line that we receive on should carry. */
export interface SubscribedMid {
  mid: string;
  /** Empty: nothing for now. */
  track: string;
  maxHeight?: number;
  /** Absent: medium. */
  priority?: Priority;
}

/** The answer to `session.negotiate`. */
export interface NegotiateResult {
  sdp: string;
  publish: { mid: string; track: string }[];
}

/** Notifications of `session.events`. */
export type SessionEvent =
  | { type: "participantJoined"; participant: ParticipantInfo }
  | { type: "participantLeft"; participant: string; reason: string }
  | { type: "trackPublished"; participant: string; track: TrackInfo }
  | { type: "trackUnpublished"; participant: string; track: string }
  | { type: "trackMuted"; participant: string; track: string; muted: boolean }
  | { type: "activeSpeakers"; participants: string[] }
  | { type: "layersWanted"; track: string; layers: string[]; paused: boolean }
  | { type: "videosPaused"; tracks: string[] }
  | { type: "moved"; node: NodeInfo; generation: number; reason: string }
  | { type: "closed"; reason: string };
