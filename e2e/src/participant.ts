import { Program, type Ended } from "./programs.js";
import type { Ready } from "./network.js";

/** What `chroom-participant --json` reports of one remote track. */
export interface NativeTrack {
  participant: string;
  track: string;
  kind: "audio" | "video";
  received: number;
  /** Sent to it and missing. */
  lost: number;
  /** Not sent to it: the video was paused for want of room, or the voice was not among the loudest. */
  withheld: number;
  duplicates: number;
  bytes: number;
  meanDelayMs: number;
  jitterMs: number;
}

/** What it reports of one participant. */
export interface NativeReport {
  identity: string;
  participant: string;
  session: string;
  node: string;
  sentPackets: number;
  receivedPackets: number;
  /** Came again: repairs that were not needed any more, or the media node's probing of the line. */
  repeatedPackets: number;
  receipts: number;
  receiptsFailed: number;
  moves: number;
  /** Ids of the videos that the media node had paused for it in the end, as its line did not carry them. */
  paused: string[];
  tracks: NativeTrack[];
}

/** Native participants in a room, running in a process of their own. */
export class Natives {
  private constructor(private readonly program: Program) {}

  static start(
    ready: Ready,
    room: string,
    options: {
      count: number;
      video: number;
      videos: number;
      seconds: number;
      name: string;
      kbps?: number;
      /** Milliseconds of sound in a packet. */
      ptime?: number;
      cell?: string;
    },
  ): Natives {
    const app = ready.apps[0];
    const orchestrator = ready.orchestrators[0];
    if (!app || !orchestrator) throw new Error("the network has no application or no orchestrator");
    return new Natives(
      new Program("chroom-participant", [
        "--json",
        ...["--url", orchestrator.ws],
        ...["--key", app.key],
        ...["--secret-file", app.secretFile],
        ...["--room", room],
        ...["--name", options.name],
        ...["--count", String(options.count)],
        ...["--video", String(options.video)],
        ...["--videos", String(options.videos)],
        ...["--video-kbps", String(options.kbps ?? 150)],
        ...["--ptime", String(options.ptime ?? 20)],
        ...["--duration", String(options.seconds)],
      ]),
    );
  }

  /** Whether it still runs. */
  get running(): boolean {
    return this.program.child.exitCode === null && this.program.child.signalCode === null;
  }

  /** Asks all to leave and gives their reports. */
  async stop(): Promise<NativeReport[]> {
    return this.#reports(await this.program.stop("SIGINT", 30_000));
  }

  /** Waits until they leave by themselves, and gives their reports. */
  async finish(): Promise<NativeReport[]> {
    return this.#reports(await this.program.ended);
  }

  #reports(ended: Ended | undefined): NativeReport[] {
    if (!ended) throw new Error("the native participants could not be started");
    const line = ended.stdout.trim().split("\n").at(-1) ?? "";
    if (!line.startsWith("[")) {
      throw new Error(
        `chroom-participant ended with ${ended.code} and no report:\n${ended.stderr.slice(-2_000)}`,
      );
    }
    if (ended.code !== 0) {
      throw new Error(`a native participant failed (exit ${ended.code}):\n${ended.stderr.slice(-2_000)}`);
    }
    return JSON.parse(line) as NativeReport[];
  }
}
