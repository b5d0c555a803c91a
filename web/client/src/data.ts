/** Framing of data messages as the media node sends them on: one byte length, sender's participant id, payload. */

/** Largest payload, in bytes. */
export const MAX_MESSAGE = 16 * 1024;

/** Label of the reliable, ordered channel. */
export const RELIABLE = "chroom";
/** Label of the unordered channel without retransmissions. */
export const LOSSY = "chroom-lossy";

/** A message and who sent it. */
export interface Framed {
  sender: string;
  payload: Uint8Array<ArrayBuffer>;
}

/** Takes a received message apart; undefined if it is malformed. */
export function unframe(data: ArrayBuffer): Framed | undefined {
  const bytes = new Uint8Array(data);
  const length = bytes[0];
  if (length === undefined || length === 0 || bytes.length < 1 + length) return undefined;
  try {
    const sender = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(1, 1 + length));
    return { sender, payload: bytes.slice(1 + length) };
  } catch {
    return undefined;
  }
}

/** Puts the sender before a payload, as a media node does. */
export function frame(sender: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const id = new TextEncoder().encode(sender);
  if (id.length === 0 || id.length > 255) throw new RangeError("a sender's id has 1 to 255 bytes");
  const framed = new Uint8Array(1 + id.length + payload.length);
  framed[0] = id.length;
  framed.set(id, 1);
  framed.set(payload, 1 + id.length);
  return framed;
}
