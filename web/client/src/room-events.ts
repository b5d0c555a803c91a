import type { ChroomError } from "./errors.js";
import type { PeerFactory } from "./link.js";
import type { NodeInfo, Priority } from "./protocol.js";
import type { Quality } from "./quality.js";
import type { SignedReceipt } from "./receipt.js";
import type { RemoteParticipant, RemoteTrack } from "./remote.js";
import type { SocketFactory } from "./signalling.js";

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
  /** A video was paused for this client alone, or goes on: see `RemoteTrack.paused`. */
  trackPaused: RemoteTrack;
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

/** Tells the room's listeners of an event. */
export type Emit = <Name extends keyof RoomEvents>(name: Name, event: RoomEvents[Name]) => void;

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

/** How a track is wanted. What is left out stays as it was. */
export interface SubscribeOptions {
  /** Greatest height of the picture that is of use, in lines; 0 for the best, as at first. */
  maxHeight?: number;
  /** Its place among the videos where the line is narrow; `medium` at first. Means nothing for sound. */
  priority?: Priority;
}

/** An access token, or where to get a fresh one: asked again if the session has to be joined anew. */
export type TokenSource = string | (() => string | Promise<string>);
