/** Calls in the browser over the Chroom network. Begin with {@link Room}. */
export { Room } from "./room.js";
export type {
  DataMessage,
  RoomEvents,
  RoomOptions,
  RoomState,
  SubscribeOptions,
  TokenSource,
} from "./room-events.js";
export { LocalTrack } from "./local-track.js";
export { RemoteParticipant, RemoteTrack } from "./remote.js";
export { camera, microphone, screen, type CameraOptions, type Capture } from "./capture.js";
export {
  CaptureError,
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
export { MAX_MESSAGE } from "./data.js";
export type { Quality, TrackQuality } from "./quality.js";
export type { ReceiptBody, SignedReceipt } from "./receipt.js";
export type { SocketFactory } from "./signalling.js";
export type { PeerFactory } from "./link.js";
export type {
  Grants,
  Kind,
  NodeInfo,
  ParticipantInfo,
  Priority,
  SessionInfo,
  Source,
  TrackInfo,
} from "./protocol.js";
