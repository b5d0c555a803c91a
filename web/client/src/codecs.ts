import type { Kind } from "./protocol.js";

/**
 * What media nodes forward, best supported first. H.264 in its constrained baseline profile, VP9 and AV1 in profile 0. Redundant audio
 * repeats each frame in the next packet: speech survives losses at the price of a second time its few bits.
 */
const WANTED: Record<Kind, { mimeType: string; sdpFmtpLine?: RegExp }[]> = {
  audio: [{ mimeType: "audio/opus" }, { mimeType: "audio/red" }],
  video: [
    { mimeType: "video/VP8" },
    { mimeType: "video/VP9", sdpFmtpLine: /profile-id=0/ },
    {
      mimeType: "video/H264",
      sdpFmtpLine: /packetization-mode=1.*profile-level-id=42e0|profile-level-id=42e0.*packetization-mode=1/i,
    },
    { mimeType: "video/AV1", sdpFmtpLine: /^(?!.*profile=[12])/ },
    { mimeType: "video/rtx" },
  ],
};

/** The codecs of `available` that are wanted, in our order. */
export function choose(kind: Kind, available: RTCRtpCodec[]): RTCRtpCodec[] {
  return WANTED[kind].flatMap(({ mimeType, sdpFmtpLine }) =>
    available.filter(
      (codec) =>
        codec.mimeType.toLowerCase() === mimeType.toLowerCase() &&
        (sdpFmtpLine === undefined || sdpFmtpLine.test(codec.sdpFmtpLine ?? "")),
    ),
  );
}

/**
 * Offers only the codecs that are of use. A browser names some thirty per video m-line otherwise, and the offer of a large room would
 * exceed what an orchestrator takes.
 */
export function prefer(transceiver: RTCRtpTransceiver, kind: Kind): RTCRtpTransceiver {
  if (typeof RTCRtpReceiver === "undefined" || typeof transceiver.setCodecPreferences !== "function")
    return transceiver;
  const codecs = choose(kind, RTCRtpReceiver.getCapabilities(kind)?.codecs ?? []);
  // Without any of ours the browser's own list stays, and the answer decides.
  if (codecs.some(({ mimeType }) => !/rtx$/i.test(mimeType))) transceiver.setCodecPreferences(codecs);
  return transceiver;
}
