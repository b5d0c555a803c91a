import { ChroomError, MediaNodeError, Room, type RoomState } from "@chroom/client";
import { byId, h } from "../../shared/dom";
import { duration, shortId } from "../../shared/format";
import { Chat } from "./chat";
import { Controls } from "./controls";
import { Graph } from "./graph";
import { ServedBy } from "./served-by";
import { Stage } from "./stage";
import { toast } from "./toast";
import { admission } from "./token";
import { watch } from "./watch";

/*
 * Address parameters, for links and tests: room, name, autojoin=1, audio=0|1, video=0|1, height (camera lines), fps, identity,
 * cell (H3, where this client is);
 * token and url to join with a token of one's own instead of the back end's.
 */
const parameters = new URLSearchParams(location.search);
const nameField = byId("name") as HTMLInputElement;
const roomField = byId("room") as HTMLInputElement;
const audioField = byId("with-audio") as HTMLInputElement;
const videoField = byId("with-video") as HTMLInputElement;
const enter = byId("enter") as HTMLButtonElement;

nameField.value = parameters.get("name") ?? sessionStorage.getItem("name") ?? "";
roomField.value = parameters.get("room") ?? "lounge";
audioField.checked = parameters.get("audio") !== "0";
videoField.checked = parameters.get("video") !== "0";

const STATES: Record<RoomState, { grade: string; text: string }> = {
  idle: { grade: "", text: "idle" },
  connecting: { grade: "fair", text: "connecting" },
  connected: { grade: "good", text: "connected" },
  reconnecting: { grade: "fair", text: "reconnecting" },
  moving: { grade: "fair", text: "moving" },
  closed: { grade: "bad", text: "closed" },
};

function fail(error: unknown): void {
  const known = error instanceof ChroomError ? error : new ChroomError("unexpected", String(error), "");
  window.chroomFailure = { slug: known.slug, message: known.message, hint: known.hint };
  const considered = known instanceof MediaNodeError ? known.considered : [];
  const failure = byId("failure");
  failure.replaceChildren(
    h("strong", {}, known.message),
    known.hint !== "" ? h("p", {}, known.hint) : "",
    h("code", {}, known.slug),
    ...(considered.length > 0
      ? [h("ul", {}, ...considered.map(({ node, reason }) => h("li", {}, `${shortId(node)}: ${reason}`)))]
      : []),
  );
  failure.hidden = false;
  byId("lobby").hidden = false;
  byId("call").hidden = true;
}

function identity(name: string): string {
  const given = parameters.get("identity");
  if (given !== null) return given;
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 32);
  return `${plain}-${crypto.randomUUID().slice(0, 8)}`;
}

async function join(): Promise<void> {
  const name = nameField.value.trim();
  const roomName = roomField.value.trim();
  byId("failure").hidden = true;
  window.chroomFailure = undefined;
  sessionStorage.setItem("name", name);
  enter.disabled = true;
  enter.textContent = "Joining…";
  try {
    const token = parameters.get("token");
    const url = parameters.get("url");
    const given = token !== null && url !== null;
    const who = identity(name);
    const first = given ? { token, urls: [url] } : await admission(roomName, who, name);
    const cell = parameters.get("cell");
    const room = new Room(cell === null ? {} : { cell });
    const began = show(room, roomName, name);
    let used = false;
    await room.connect(first.urls, async () => {
      // The first token is at hand; later, after a long outage, it may have expired.
      if (given || !used) {
        used = true;
        return first.token;
      }
      return (await admission(roomName, who, name)).token;
    });
    await began.publish();
  } catch (error) {
    fail(error);
  } finally {
    enter.disabled = false;
    enter.textContent = "Join the room";
  }
}

function show(room: Room, roomName: string, name: string): { publish: () => Promise<void> } {
  const call = byId("call");
  const cameraOptions = {
    ...(parameters.has("height") ? { height: Number(parameters.get("height")) } : {}),
    ...(parameters.has("fps") ? { frameRate: Number(parameters.get("fps")) } : {}),
  };
  const stage = new Stage(room, byId("stage"), byId("grid"), name);
  const chat = new Chat(room, byId("chat"), name);
  const controls = new Controls(room, byId("controls"), call, cameraOptions);
  new ServedBy(room, byId("served-by"));
  new Graph(room, byId("graph"));
  call.classList.toggle("no-side", window.innerWidth < 900);
  chat.onmessage = () => controls.message();
  controls.onchange = () => {
    controls.show();
    stage.own();
  };
  window.chroomDemo = watch(
    room,
    chat,
    (participant) => stage.picture(participant),
    () => stage.ownPicture(),
  );

  byId("room-name").textContent = roomName;
  const began = Date.now();
  const clock = setInterval(() => (byId("clock").textContent = duration(Date.now() - began)), 1_000);
  room.on("state", ({ state, reason }) => {
    const pill = byId("state");
    pill.textContent = STATES[state].text;
    pill.className = `pill ${STATES[state].grade}`;
    pill.title = reason;
    pill.dataset.state = state;
    const banner = byId("banner");
    banner.hidden = state !== "reconnecting" && state !== "moving";
    banner.textContent =
      state === "reconnecting"
        ? `Reconnecting to the orchestrator: ${reason}. The call goes on meanwhile.`
        : `Moving the call: ${reason}.`;
    if (state === "connecting") {
      byId("lobby").hidden = true;
      call.hidden = false;
    }
  });
  room.on("moved", ({ node, reason }) => toast(`The call moved to node ${shortId(node.id)}`, reason));
  room.on("warning", (warning) => toast(warning.message, warning.hint));
  room.on("participantJoined", (participant) => toast(`${participant.name} joined`));
  room.on("closed", ({ reason, error }) => {
    clearInterval(clock);
    stage.clear();
    call.hidden = true;
    byId("lobby").hidden = false;
    if (error) fail(error);
    else if (reason !== "left")
      fail(new ChroomError("closed", `The call has ended: ${reason}`, "You can join again."));
  });

  return {
    publish: async () => {
      const wanted: Promise<unknown>[] = [];
      if (room.grants?.publish !== false) {
        if (audioField.checked)
          wanted.push(room.publishMicrophone({ processing: parameters.get("processing") !== "0" }));
        if (videoField.checked) wanted.push(room.publishCamera(cameraOptions));
      }
      // Without a device one can still watch and listen.
      for (const result of await Promise.allSettled(wanted)) {
        if (result.status === "rejected") {
          const error: unknown = result.reason;
          toast(
            error instanceof Error ? error.message : String(error),
            error instanceof ChroomError ? error.hint : "",
          );
        }
      }
      controls.onchange();
    },
  };
}

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  void join();
});
if (parameters.get("autojoin") === "1" && nameField.value !== "") void join();
