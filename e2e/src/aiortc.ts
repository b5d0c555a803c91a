import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "./until.js";

const CACHE = process.env.CHROOM_CACHE ?? join(homedir(), ".cache/chroom");
const PYTHON = process.env.CHROOM_AIORTC_PYTHON ?? join(CACHE, "aiortc/bin/python");
const SCRIPT = resolve(import.meta.dirname, "../aiortc/client.py");

/** What aiortc has decoded so far; see aiortc/client.py. */
export interface Decoded {
  state: string;
  frames: number;
  audioFrames: number;
  /** Loudest sample lately, 0 to 1. */
  level: number;
  alongRows: number;
  alongColumns: number;
  /** Mean difference of two pictures, 0 to 255. */
  change: number;
  size: [number, number];
  /** What the resource's end was answered with. */
  deleted?: number;
}

/** A WHIP or WHEP client on aiortc: WebRTC in Python, which shares no code with the media node or with Chromium. */
export class Aiortc {
  #out = "";
  #error = "";
  readonly #ended: Promise<number | null>;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.on("data", (data: Buffer) => (this.#out += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (this.#error += data.toString()));
    this.#ended = new Promise((resolveEnd) => {
      child.on("error", (error) => {
        this.#error += error.message;
        resolveEnd(null);
      });
      child.on("close", resolveEnd);
    });
  }

  static start(mode: "publish" | "watch", url: string, token: string): Aiortc {
    if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: scripts/setup.sh test makes it`);
    // The token goes through the environment: arguments are for all to see.
    const env = { ...process.env, CHROOM_TOKEN: token };
    return new Aiortc(spawn(PYTHON, [SCRIPT, mode, url], { stdio: ["pipe", "pipe", "pipe"], env }));
  }

  /** What it said last. */
  get decoded(): Decoded | undefined {
    const line = this.#out.trim().split("\n").at(-1);
    return line?.startsWith("{") ? (JSON.parse(line) as Decoded) : undefined;
  }

  /** Waits until what was decoded is good. */
  until(what: string, ms: number, good: (decoded: Decoded) => boolean): Promise<Decoded> {
    return until(`aiortc: ${what}`, ms, () => {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.#error.slice(-1_500)}`);
      const { decoded } = this;
      return decoded && good(decoded) ? decoded : undefined;
    });
  }

  /** Lets it end its resource; gives what it decoded in all. */
  async end(): Promise<Decoded> {
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 20_000);
    const code = await this.#ended;
    clearTimeout(timer);
    const { decoded } = this;
    if (code !== 0 || !decoded) throw new Error(`aiortc ended with ${code}: ${this.#error.slice(-1_500)}`);
    return decoded;
  }

  /** Ends it the hard way, if it still runs. */
  kill(): Promise<void> {
    this.child.kill("SIGKILL");
    return Promise.resolve();
  }
}
