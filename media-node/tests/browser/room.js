// Participants of a room that live in one page: each has a peer connection of its own, as with the SDK, and all are of one browser.

export const query = new URLSearchParams(location.search);

export const post = async (path, body) => {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${text}`);
  return text;
};

export const until = async (what, condition, seconds = 40) => {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
};

/** Runs a test and reports what it found. */
export const report = async (run) => {
  const result = {};
  try {
    await run(result);
  } catch (error) {
    result.error = `${error.stack ?? error}`;
  }
  await post("/result", result);
};

export class Participant {
  /** Receiving m-lines by the number of whom they show. */
  lines = new Map();
  /** What is published beside voice and face, by name. */
  shown = new Map();
  /** Receiving m-lines for what others show so, by name. */
  watched = new Map();

  constructor(number, { video, voice, encodings, codec = "VP8", transforms, configuration, descriptor = false, listen = false }) {
    this.number = number;
    this.listen = listen;
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", ...transforms?.configuration, ...configuration });
    this.codec = codec;
    this.descriptor = descriptor;
    this.transforms = transforms;
    this.voice = this.#line(voice, { direction: "sendonly" });
    this.face = this.#line(video, { direction: "sendonly", sendEncodings: encodings });
    transforms?.seal(this.voice.sender, "audio");
    transforms?.seal(this.face.sender, codec);
  }

  #line(what, init) {
    const transceiver = this.connection.addTransceiver(what, init);
    const kind = typeof what === "string" ? what : what.kind;
    if (kind === "video") {
      const { codecs } = RTCRtpReceiver.getCapabilities("video");
      const wanted = codecs.filter(({ mimeType }) => mimeType === `video/${this.codec}` || mimeType.endsWith("/rtx"));
      transceiver.setCodecPreferences(wanted);
      if (this.descriptor) {
        const extensions = transceiver.getHeaderExtensionsToNegotiate();
        extensions.find(({ uri }) => uri.includes("dependency-descriptor")).direction = "sendrecv";
        transceiver.setHeaderExtensionsToNegotiate(extensions);
      }
    }
    return transceiver;
  }

  /** Publishes a picture beside the face, from the next negotiation on. */
  show(name, track, source) {
    this.shown.set(name, { line: this.#line(track, { direction: "sendonly" }), source });
  }

  /** Watches a picture that somebody shows beside the face, from the next negotiation on. */
  watch(name, maxHeight) {
    const see = this.#line("video", { direction: "recvonly" });
    const video = document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, srcObject: new MediaStream([see.receiver.track]) });
    document.body.append(video);
    this.watched.set(name, { see, video, maxHeight });
  }

  /** Takes the camera out of the call. */
  hideFace() {
    this.face.sender.track.stop();
    this.face.direction = "inactive";
    this.hidden = true;
  }

  /** Makes m-lines for the others, and negotiates. */
  async meet(others, maxHeight, iceRestart = false) {
    for (const other of others) {
      if (other === this.number || this.lines.has(other)) continue;
      const line = {
        hear: this.#line("audio", { direction: "recvonly" }),
        see: this.#line("video", { direction: "recvonly" }),
      };
      this.transforms?.open(line.hear.receiver, "audio");
      this.transforms?.open(line.see.receiver, this.codec);
      // Decoding needs somebody who looks and listens.
      const tracks = [line.see.receiver.track, ...(this.listen ? [line.hear.receiver.track] : [])];
      line.video = document.createElement("video");
      Object.assign(line.video, { muted: !this.listen, autoplay: true, srcObject: new MediaStream(tracks) });
      document.body.append(line.video);
      this.lines.set(other, line);
    }
    if (iceRestart) this.connection.restartIce();
    await this.connection.setLocalDescription();
    const subscribe = [...this.lines].flatMap(([other, { hear, see }]) => [
      [hear.mid, `voice${other}`, 0],
      [see.mid, `face${other}`, maxHeight],
    ]);
    for (const [name, { see, maxHeight: most }] of this.watched) subscribe.push([see.mid, name, most]);
    const publish = [[this.voice.mid, `voice${this.number}`, "microphone"]];
    if (!this.hidden) publish.push([this.face.mid, `face${this.number}`, "camera"]);
    for (const [name, { line, source }] of this.shown) publish.push([line.mid, name, source]);
    const sdp = await post("/negotiate", {
      session: this.number,
      sdp: this.connection.localDescription.sdp,
      publish,
      subscribe,
    });
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** Says how tall somebody's picture should be, and what it comes before. */
  want(other, maxHeight, priority = "medium") {
    const line = this.lines.get(other);
    return post("/subscribe", {
      session: this.number,
      sdp: "",
      subscribe: [[line.see.mid, `face${other}`, maxHeight]],
      priority,
    });
  }

  /** What of somebody has come: a picture's figures, and packets of sound. */
  async received(other) {
    const line = this.lines.get(other);
    const of = async (transceiver) =>
      [...(await transceiver.receiver.getStats()).values()].find(({ type }) => type === "inbound-rtp") ?? {};
    const [audio, video] = await Promise.all([of(line.hear), of(line.see)]);
    return {
      frames: video.framesDecoded ?? 0,
      height: video.frameHeight ?? 0,
      keys: video.keyFramesDecoded ?? 0,
      audio: audio.packetsReceived ?? 0,
      level: audio.audioLevel ?? 0,
    };
  }

  /** What has been sent: pictures, packets of sound, and about as many bytes of both as were on the line. */
  async sent() {
    const of = async ({ sender }) => [...(await sender.getStats()).values()].filter(({ type }) => type === "outbound-rtp");
    const [audio, video] = await Promise.all([of(this.voice), of(this.face)]);
    const sum = (rows, what) => rows.reduce((sum, row) => sum + (row[what] ?? 0), 0);
    const all = [...audio, ...video];
    // The seal of SRTP, UDP and IP are in no count.
    const below = 50 * sum(all, "packetsSent");
    return {
      frames: sum(video, "framesSent"),
      audio: sum(audio, "packetsSent"),
      bytes: sum(all, "bytesSent") + sum(all, "headerBytesSent") + below,
    };
  }

  /** The pair of candidates that is in use. */
  async path() {
    const reports = await this.connection.getStats();
    const transport = [...reports.values()].find(({ type }) => type === "transport");
    const pair = reports.get(transport?.selectedCandidatePairId);
    const local = reports.get(pair?.localCandidateId);
    const { port, address, usernameFragment: ufrag, candidateType: type, relayProtocol } = local ?? {};
    return { port, address, ufrag, type, relayProtocol };
  }
}
