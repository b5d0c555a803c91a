import type { Room } from "@chroom/client";
import { bot } from "./bot";
import { MockNetwork } from "./sfu";

/* The demo page over a network inside the page. Parameters as of the demo page, and bots=<number>. */

const network = new MockNetwork();
const socket = function () {
  return network.open();
};
Object.assign(window, { WebSocket: socket, chroomMock: network });
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
  // A browser cannot receive simulcast, so the page's own media node gets the best layer alone.
  const best = init?.sendEncodings?.at(-1);
  if (best) delete best.rid;
  return addTransceiver.call(this, kind, best ? { ...init, sendEncodings: [best] } : init);
};

const page = await (await fetch("../demo/index.html")).text();
const parsed = new DOMParser().parseFromString(page, "text/html");
const base = new URL("../demo/", location.href);
for (const link of parsed.head.querySelectorAll("link")) {
  link.href = new URL(link.getAttribute("href") ?? "", base).href;
  document.head.append(link);
}
for (const image of parsed.body.querySelectorAll("img")) {
  image.src = new URL(image.getAttribute("src") ?? "", base).href;
}
for (const script of parsed.querySelectorAll("script")) script.remove();
document.body.replaceChildren(...parsed.body.children);
await import("../demo/src/main");

const names = [
  "Grace Hopper",
  "Katherine J.",
  "Radia",
  "Hedy Lamarr",
  "Edsger",
  "Barbara",
  "Linus",
  "Margaret",
];
const wanted = Number(new URLSearchParams(location.search).get("bots") ?? 3);
const rooms: Room[] = [];
for (let index = 0; index < wanted; index += 1) {
  rooms.push(
    await bot(network, names[index % names.length] ?? "Bot", (index * 67 + 200) % 360, index % 4 !== 2),
  );
}
rooms[0]?.send(JSON.stringify({ chat: "Hello! The picture is sharp on my side." }));
let speaker = 0;
setInterval(() => {
  const room = rooms[speaker % Math.max(1, rooms.length)];
  speaker += 1;
  if (room) network.speak([room.participantId]);
}, 2_500);
