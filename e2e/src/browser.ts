import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type BrowserContext, type Page } from "playwright-core";
import { writePicture, writeTone, type Motion } from "./fake-media.js";
import { until } from "./until.js";

const CHROMIUM =
  process.env.CHROMIUM ??
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

/** What a page counted of one received track; see web/demo/src/watch.ts. */
export interface TrackFigures {
  id: string;
  kind: string;
  source: string;
  muted: boolean;
  subscribed: boolean;
  framesDecoded: number;
  audioLevel: number;
  audioPeak: number;
  kbps: number;
  fps: number;
  height: number;
  loss: number;
}

/** What a page sees of one other participant. */
export interface Other {
  id: string;
  identity: string;
  name: string;
  speaking: boolean;
  tracks: TrackFigures[];
}

/** What a page says of its call. */
export interface CallState {
  state: string;
  transport: string;
  node: string;
  session: string;
  participant: string;
  receipts: number;
  taken: { node: string; to: number }[];
  moves: number;
  messages: { from: string; name: string; text: string; mine: boolean }[];
  states: { at: number; state: string; reason: string }[];
  warnings: { at: number; slug: string; message: string }[];
  others: Other[];
}

/** The parts of `window.chroomDemo` that are used here. */
interface DemoWindow {
  chroomDemo?: {
    room: {
      state: string;
      transport?: string;
      node?: { id: string };
      sessionId: string;
      participantId: string;
      leave(): Promise<void>;
    };
    states: CallState["states"];
    warnings: CallState["warnings"];
    receipts: number;
    taken: CallState["taken"];
    moves: number;
    messages: CallState["messages"];
    send(text: string): boolean;
    participants(): Other[];
    grab(identity: string): number[] | undefined;
    standstill(identity: string): number | undefined;
    ownStandstill(): number | undefined;
  };
  chroomFailure?: { slug: string; message: string; hint: string };
  /** How slow connections are to begin, in milliseconds. */
  hesitation?: { offer: number; answer: number };
}

/** A Chromium process of its own, with a camera that shows a moving bar and a microphone that hears a tone. */
export class Browser {
  private constructor(
    readonly context: BrowserContext,
    private readonly folder: string,
  ) {}

  static async open(motion: Motion, hertz: number): Promise<Browser> {
    if (CHROMIUM === undefined)
      throw new Error("Chromium is missing: make test installs it, or set CHROMIUM");
    const folder = mkdtempSync(join(tmpdir(), "chroom-browser-"));
    const picture = join(folder, "picture.y4m");
    const tone = join(folder, "tone.wav");
    writePicture(picture, motion);
    writeTone(tone, hertz);
    const context = await chromium.launchPersistentContext(join(folder, "profile"), {
      executablePath: CHROMIUM,
      headless: true,
      viewport: { width: 960, height: 600 },
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        `--use-file-for-fake-video-capture=${picture}`,
        `--use-file-for-fake-audio-capture=${tone}`,
        "--autoplay-policy=no-user-gesture-required",
        // Host candidates as they are, loopback among them: everything here is on one machine.
        "--disable-features=WebRtcHideLocalIpsWithMdns",
        "--allow-loopback-in-peer-connection",
      ],
    });
    return new Browser(context, folder);
  }

  /** Opens a page, in the one tab that the window has or in a new one. */
  async page(url: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(url, { waitUntil: "load" });
    return page;
  }

  /** Opens the demo page and joins a room. */
  async join(demo: string, room: string, name: string, more: Record<string, string> = {}): Promise<DemoPage> {
    const query = new URLSearchParams({
      room,
      name,
      identity: name.toLowerCase(),
      autojoin: "1",
      height: "360",
      fps: "15",
      processing: "0",
      ...more,
    });
    return new DemoPage(await this.page(`${demo.replace(/\/$/, "")}/demo/?${query.toString()}`), name);
  }

  async close(): Promise<void> {
    await this.context.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The demo page in a call. */
export class DemoPage {
  readonly complaints: string[] = [];

  constructor(
    readonly page: Page,
    readonly name: string,
  ) {
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }

  /** What the call looks like now. */
  call(): Promise<CallState> {
    return this.page.evaluate(() => {
      const { chroomDemo: demo, chroomFailure: failure } = window as unknown as DemoWindow;
      if (failure) throw new Error(`${failure.slug}: ${failure.message}`);
      if (!demo) throw new Error("the page has not joined yet");
      return {
        state: demo.room.state,
        transport: demo.room.transport ?? "",
        node: demo.room.node?.id ?? "",
        session: demo.room.sessionId,
        participant: demo.room.participantId,
        receipts: demo.receipts,
        taken: demo.taken,
        moves: demo.moves,
        messages: [...demo.messages],
        states: demo.states,
        warnings: demo.warnings,
        others: demo.participants(),
      };
    });
  }

  /** Waits until the media connection stands. */
  connected(ms = 45_000): Promise<CallState> {
    return until(`${this.name} is connected`, ms, async () => {
      const call = await this.call();
      return call.state === "connected" && call.transport === "connected" ? call : undefined;
    });
  }

  /** Frames decoded of a participant's camera so far. */
  async frames(identity: string): Promise<number> {
    return track(await this.call(), identity, "camera")?.framesDecoded ?? 0;
  }

  /** A small grey picture of what is shown of a participant now. */
  grab(identity: string): Promise<number[] | undefined> {
    return this.page.evaluate((who) => (window as unknown as DemoWindow).chroomDemo?.grab(who), identity);
  }

  /** The longest time, in milliseconds, for which a participant's picture stood still since this was asked last; undefined where there is none. */
  standstill(identity: string): Promise<number | undefined> {
    return this.page.evaluate(
      (who) => (window as unknown as DemoWindow).chroomDemo?.standstill(who),
      identity,
    );
  }

  /** The longest time, in milliseconds, for which the page's own camera, which crosses no network, stood still since this was asked last. */
  ownStandstill(): Promise<number | undefined> {
    return this.page.evaluate(() => (window as unknown as DemoWindow).chroomDemo?.ownStandstill());
  }

  /** From now on connections are slow to begin: it takes so long, in milliseconds, until an offer is made, and until its answer is used. */
  hesitate(offer: number, answer: number): Promise<void> {
    return this.page.evaluate(
      (delays) => {
        const page = window as unknown as DemoWindow;
        const installed = page.hesitation !== undefined;
        page.hesitation = delays;
        if (installed) return;
        const wait = (of: "offer" | "answer"): Promise<void> =>
          new Promise((resolve) => setTimeout(resolve, page.hesitation?.[of] ?? 0));
        const { prototype } = RTCPeerConnection;
        const methods = { offer: prototype.createOffer, answer: prototype.setRemoteDescription };
        Object.assign(prototype, {
          async createOffer(this: RTCPeerConnection, options: RTCOfferOptions) {
            await wait("offer");
            return Reflect.apply(methods.offer, this, [options]) as Promise<unknown>;
          },
          async setRemoteDescription(this: RTCPeerConnection, description: RTCSessionDescriptionInit) {
            await wait("answer");
            return Reflect.apply(methods.answer, this, [description]) as Promise<unknown>;
          },
        });
      },
      { offer, answer },
    );
  }

  /** Sends a chat message. */
  send(text: string): Promise<boolean> {
    return this.page.evaluate(
      (what) => (window as unknown as DemoWindow).chroomDemo?.send(what) ?? false,
      text,
    );
  }

  /** Why the page is not in a call, once it says so, and what a person reads of it. */
  failure(ms = 30_000): Promise<{ slug: string; message: string; hint: string; shown: string }> {
    return until(`${this.name}'s page says what failed`, ms, () =>
      this.page.evaluate(() => {
        const { chroomFailure: failure } = window as unknown as DemoWindow;
        const shown = document.getElementById("failure")?.innerText ?? "";
        return failure ? { ...failure, shown } : undefined;
      }),
    );
  }

  /** Leaves the room and closes the tab. */
  async leave(): Promise<void> {
    await this.page
      .evaluate(() => (window as unknown as DemoWindow).chroomDemo?.room.leave())
      .catch(() => undefined);
    await this.page.close().catch(() => undefined);
  }
}

/** The figures of one track of one participant. */
export function track(call: CallState, identity: string, source: string): TrackFigures | undefined {
  return call.others
    .find((other) => other.identity === identity)
    ?.tracks.find((one) => one.source === source);
}

const GRAB_WIDTH = 32;

/** How much brightness varies along rows and along columns of a grab: tells a vertical bar from a horizontal one. */
export function bars(grab: number[]): { alongRows: number; alongColumns: number } {
  const rows = grab.length / GRAB_WIDTH;
  const columnMeans = Array.from({ length: GRAB_WIDTH }, (_, x) =>
    mean(Array.from({ length: rows }, (_, y) => grab[y * GRAB_WIDTH + x] ?? 0)),
  );
  const rowMeans = Array.from({ length: rows }, (_, y) =>
    mean(grab.slice(y * GRAB_WIDTH, (y + 1) * GRAB_WIDTH)),
  );
  return { alongRows: deviation(columnMeans), alongColumns: deviation(rowMeans) };
}

/** Mean difference of two grabs, 0 to 255. */
export function difference(a: number[], b: number[]): number {
  return mean(a.map((value, index) => Math.abs(value - (b[index] ?? 0))));
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function deviation(values: number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
