// Seals frames before they are packetised and opens them after they were put together: AES-GCM with a tag of 96 bits, so one changed bit anywhere
// between the two browsers makes a frame unreadable. What packetisers have to read stays in clear, but is authenticated too.

const raw = Uint8Array.from({ length: 16 }, (_, index) => index * 7 + 1);
const key = crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
const IV = 12;
const figures = { sealed: 0, opened: 0, refused: 0, passed: 0 };
let counter = 0;

setInterval(() => postMessage({ ...figures }), 200);

const nonce = () => {
  const iv = new Uint8Array(IV);
  counter += 1;
  new DataView(iv.buffer).setUint32(8, counter);
  return iv;
};

/** Bytes at the beginning of a frame that stay in clear: as SFrame for WebRTC leaves them for VP8, and Opus' table of contents. */
const clear = (what, frame) => (what === "audio" ? 1 : frame.type === "key" ? 10 : 3);

/** Seals or opens `body`, bound to `head`. */
const seal = async (head, body) => {
  const iv = nonce();
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: head }, await key, body);
  return [new Uint8Array(sealed), iv];
};
const open = async (head, body) => {
  const iv = body.subarray(body.length - IV);
  const sealed = body.subarray(0, body.length - IV);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: head }, await key, sealed));
};

const join = (parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

const leb128 = (value) => {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return Uint8Array.from(bytes);
};

/** The OBUs of an AV1 temporal unit: AV1's packetiser reads their headers and sizes, so these stay, and each payload is sealed. */
function* obus(frame) {
  let at = 0;
  while (at < frame.length) {
    const header = frame.subarray(at, at + (frame[at] & 4 ? 2 : 1));
    at += header.length;
    let size = frame.length - at;
    if (header[0] & 2) {
      size = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = frame[at++];
        size |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) break;
      }
    }
    yield { header, payload: frame.subarray(at, at + size) };
    at += size;
  }
}

const transformObus = async (frame, operation) => {
  const parts = [];
  for (const { header, payload } of obus(frame)) {
    // Temporal delimiters and empty ones don't cross the packetiser.
    const sized = Uint8Array.from(header);
    sized[0] |= 2;
    if (payload.length === 0) {
      parts.push(sized, leb128(0));
      continue;
    }
    // The header's bit for a size comes and goes with packetisation: it is not bound.
    const bound = Uint8Array.of(header[0] & ~2);
    const body = operation === "seal" ? join(await seal(bound, payload)) : await open(bound, payload);
    parts.push(sized, leb128(body.length), body);
  }
  return join(parts);
};

const transformFrame = async (what, operation, frame) => {
  const data = new Uint8Array(frame.data);
  if (what === "AV1") return transformObus(data, operation);
  const head = data.subarray(0, Math.min(clear(what, frame), data.length));
  const body = data.subarray(head.length);
  return join([head, ...(operation === "seal" ? await seal(head, body) : [await open(head, body)])]);
};

self.onrtctransform = ({ transformer }) => {
  const { operation, what } = transformer.options;
  const transform = async (frame, controller) => {
    if (frame.data.byteLength === 0) {
      figures.passed += 1;
      controller.enqueue(frame);
      return;
    }
    try {
      frame.data = (await transformFrame(what, operation, frame)).buffer;
      figures[operation === "seal" ? "sealed" : "opened"] += 1;
      controller.enqueue(frame);
    } catch (error) {
      figures.refused += 1;
      figures.fault = `${what}: ${error}`;
    }
  };
  transformer.readable.pipeThrough(new TransformStream({ transform })).pipeTo(transformer.writable);
};
