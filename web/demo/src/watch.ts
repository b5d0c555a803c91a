import type { Quality, ReceiptBody, Room, RoomState } from "@chroom/client";
import type { Chat, ChatMessage } from "./chat";
import type { Picture } from "./picture";

/** Receipts that are remembered. */
const MAX_TAKEN = 2_000;

/** What a test can read of one received track. */
export interface TrackFigures {
  id: string;
  kind: string;
  source: string;
  muted: boolean;
  subscribed: boolean;
  /** Since the track was published. */
  framesDecoded: number;
  /** 0 to 1, in the last second and the greatest so far. */
  audioLevel: number;
  audioPeak: number;
  kbps: number;
  fps: number;
  height: number;
  loss: number;
}

/** What is counted of the call from its beginning on: `window.chroomDemo` for tests and the curious. */
export interface Demo {
  room: Room;
  states: { at: number; state: RoomState; reason: string }[];
  warnings: { at: number; slug: string; message: string; hint: string }[];
  receipts: number;
  /** Ends of the intervals (Unix ms) of the receipts that the orchestrator took, with the node that they are about. */
  taken: { node: string; to: number }[];
  moves: number;
  messages: readonly ChatMessage[];
  send(text: string): boolean;
  quality(): Quality | undefined;
  participants(): { id: string; identity: string; name: string; speaking: boolean; tracks: TrackFigures[] }[];
  /** A grab of a participant's picture, 32 × 18 pixels, grey values; undefined without a picture. */
  grab(identity: string): number[] | undefined;
  /**
   * Begins anew to look for the longest time, in milliseconds, for which a participant's picture stands still; gives what was found before, undefined
   * where there is no such participant.
   */
  standstill(identity: string): number | undefined;
  /** The same of one's own picture, which crosses no network: how much of it is this machine's doing. */
  ownStandstill(): number | undefined;
}

/** Why the page is not in a call, for tests. */
export interface DemoFailure {
  slug: string;
  message: string;
  hint: string;
}

declare global {
  interface Window {
    chroomDemo?: Demo;
    chroomFailure?: DemoFailure | undefined;
  }
}

/** Begins to count. */
export function watch(
  room: Room,
  chat: Chat,
  picture: (participant: string) => Picture | undefined,
  own: () => Picture | undefined,
): Demo {
  const frames = new Map<string, number>();
  const peaks = new Map<string, number>();
  const demo: Demo = {
    room,
    states: [],
    warnings: [],
    receipts: 0,
    taken: [],
    moves: 0,
    messages: chat.messages,
    send: (text) => chat.send(text),
    quality: () => room.lastQuality,
    participants: () =>
      [...room.participants.values()].map((participant) => ({
        id: participant.id,
        identity: participant.identity,
        name: participant.name,
        speaking: participant.speaking,
        tracks: [...participant.tracks.values()].map((track) => {
          const last = room.lastQuality?.tracks.get(track.id);
          return {
            id: track.id,
            kind: track.kind,
            source: track.source,
            muted: track.muted,
            subscribed: track.subscribed,
            framesDecoded: frames.get(track.id) ?? 0,
            audioLevel: last?.audioLevel ?? 0,
            audioPeak: peaks.get(track.id) ?? 0,
            kbps: last?.kbps ?? 0,
            fps: last?.fps ?? 0,
            height: last?.height ?? 0,
            loss: last?.loss ?? 0,
          };
        }),
      })),
    grab: (identity) => {
      const participant = [...room.participants.values()].find((one) => one.identity === identity);
      return participant && grab(picture(participant.id)?.video);
    },
    standstill: (identity) => {
      const participant = [...room.participants.values()].find((one) => one.identity === identity);
      const shown = participant && picture(participant.id);
      return shown && standstill(shown);
    },
    ownStandstill: () => {
      const shown = own();
      return shown && standstill(shown);
    },
  };
  room.on("state", ({ state, reason }) => demo.states.push({ at: Date.now(), state, reason }));
  room.on("warning", ({ slug, message, hint }) =>
    demo.warnings.push({ at: Date.now(), slug, message, hint }),
  );
  room.on("receipt", () => (demo.receipts += 1));
  room.on("receiptTaken", ({ payload }) => {
    const { node, to } = JSON.parse(payload) as ReceiptBody;
    demo.taken.push({ node, to });
    if (demo.taken.length > MAX_TAKEN) demo.taken.shift();
  });
  room.on("moved", () => (demo.moves += 1));
  room.on("quality", (quality) => {
    for (const [id, track] of quality.tracks) {
      frames.set(id, (frames.get(id) ?? 0) + track.framesDecoded);
      peaks.set(id, Math.max(peaks.get(id) ?? 0, track.audioLevel));
    }
  });
  return demo;
}

/** What is known of each picture's flow: when the last one was shown, and the longest time between two. */
const flows = new WeakMap<Picture, { shown: number; longest: number }>();

function standstill(picture: Picture): number {
  const known = flows.get(picture);
  if (known) {
    const longest = Math.max(known.longest, performance.now() - known.shown);
    known.longest = 0;
    return Math.round(longest);
  }
  // Who is looked for and never shown stands still from now on.
  const flow = { shown: performance.now(), longest: 0 };
  flows.set(picture, flow);
  picture.watch((now) => {
    flow.longest = Math.max(flow.longest, now - flow.shown);
    flow.shown = now;
  });
  return 0;
}

function grab(video: HTMLVideoElement | undefined): number[] | undefined {
  if (!video || video.videoWidth === 0) return undefined;
  const canvas = document.createElement("canvas");
  canvas.width = 32;
  canvas.height = 18;
  const context = canvas.getContext("2d");
  if (!context) return undefined;
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const grey: number[] = [];
  for (let index = 0; index < data.length; index += 4) {
    grey.push(Math.round(((data[index] ?? 0) + (data[index + 1] ?? 0) + (data[index + 2] ?? 0)) / 3));
  }
  return grey;
}
