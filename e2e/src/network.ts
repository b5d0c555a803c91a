import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { basePort } from "./ports.js";
import { chroom, Program } from "./programs.js";
import { lastRelease } from "./releases.js";
import { until } from "./until.js";

/** What `chroom up --json` prints once all is up. */
export interface Ready {
  ready: true;
  demo: string;
  explorer: string;
  chain: string;
  logs: string;
  processes: string;
  orchestrators: {
    name: string;
    pid: number;
    ws: string;
    http: string;
    nodeId: string;
    region: string;
    cell: string;
  }[];
  registries: {
    name: string;
    pid: number;
    http: string;
    rpc: string;
    p2p: string;
    nodeId: string;
    data: string;
    owner: string;
  }[];
  mediaNodes: {
    name: string;
    pid: number;
    http: string;
    rpc: string;
    udp: string;
    nodeId: string;
    region: string;
    cell: string;
    owner: string;
    ownerAccount: string;
    data: string;
  }[];
  validators: { name: string; pid: number; ws: string; metrics: string }[];
  operator: Record<string, string>;
  apps: { key: string; secretFile: string; account: string }[];
}

/** A row of `processes.json`. */
export interface ProcessView {
  name: string;
  kind: "validator" | "registry" | "media" | "orchestrator";
  pid: number | null;
  state: string;
  restarts: number;
  log: string;
}

const WEB = resolve(import.meta.dirname, "../../web/dist");

/** The local network that the whole suite uses: three media nodes, the third of which loses a tenth of what it sends. */
export class Network {
  private constructor(
    private readonly program: Program | undefined,
    readonly data: string,
    readonly ready: Ready,
  ) {}

  /** Starts it, and waits until it is up; or, with CHROOM_E2E_DATA, takes the one that runs with that data folder. */
  static async start(): Promise<Network> {
    const running = process.env.CHROOM_E2E_DATA;
    if (running !== undefined) {
      const ready = JSON.parse(readFileSync(join(running, "network.json"), "utf8")) as Ready;
      return new Network(undefined, running, ready);
    }
    if (!existsSync(join(WEB, "index.html")))
      throw new Error(`${WEB} is missing: npm --prefix web run build`);
    const data = mkdtempSync(join(tmpdir(), "chroom-e2e-"));
    const specification = join(tmpdir(), `${basename(data)}.json`);
    writeFileSync(specification, await lastRelease());
    const program = new Program("chroom", [
      "up",
      "--json",
      ...["--data", data],
      ...["--chain-spec", specification],
      ...["--base-port", String(await basePort())],
      ...["--media", "3"],
      ...["--web", WEB],
      ...["--media-args", "media-3=--fault-egress-loss=0.1"],
    ]);
    let ended: string | undefined;
    program.ended.then(
      ({ code }) => (ended = `chroom up ended with ${code}`),
      (error: unknown) => (ended = String(error)),
    );
    try {
      const line = await until("the network is up", 300_000, () =>
        ended === undefined ? program.stdout.split("\n").find((one) => one.includes('"ready"')) : ended,
      );
      if (ended !== undefined) throw new Error(ended);
      return new Network(program, data, JSON.parse(line) as Ready);
    } catch (error) {
      await program.stop();
      const said = program.stderr.trim().split("\n").slice(-30).join("\n");
      throw new Error(`${(error as Error).message}\nchroom up said:\n${said}\nlogs: ${join(data, "logs")}`, {
        cause: error,
      });
    }
  }

  /** Ends it; the data go too unless `keep`. */
  async stop(keep: boolean): Promise<void> {
    if (!this.program) return;
    await this.program.stop("SIGINT", 60_000);
    if (keep) return;
    rmSync(this.data, { recursive: true, force: true });
    rmSync(join(tmpdir(), `${basename(this.data)}.json`), { force: true });
  }

  /** Runs `chroom … --json` against this network. */
  cli<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    return chroom<T>([...args, "--chain", this.ready.chain]);
  }

  /** Runs a command that asks registries and the chain. */
  ask<T = Record<string, unknown>>(registry: string, ...args: string[]): Promise<T> {
    return chroom<T>([...args, "--chain", this.ready.chain, "--registry-url", registry]);
  }

  /** The media node of a name. */
  media(name: string): Ready["mediaNodes"][number] {
    const node = this.ready.mediaNodes.find((one) => one.name === name);
    if (!node) throw new Error(`the network has no ${name}`);
    return node;
  }

  /** Where a process stands now. */
  process(name: string): ProcessView {
    const file = JSON.parse(readFileSync(this.ready.processes, "utf8")) as
      ProcessView[] | Record<string, ProcessView>;
    const view = (Array.isArray(file) ? file : Object.values(file)).find((one) => one.name === name);
    if (!view) throw new Error(`${this.ready.processes} has no ${name}`);
    return view;
  }

  /** What a process has logged. */
  log(name: string): string {
    return readFileSync(this.process(name).log, "utf8");
  }

  /** Kills a process the hard way; resolves with its old process id. */
  kill(name: string): number {
    const { pid } = this.process(name);
    if (pid === null) throw new Error(`${name} does not run`);
    process.kill(pid, "SIGKILL");
    return pid;
  }

  /** Waits until a killed process runs again. */
  restarted(name: string, oldPid: number, ms = 60_000): Promise<ProcessView> {
    return until(`${name} runs again`, ms, () => {
      const view = this.process(name);
      return view.state === "running" && view.pid !== null && view.pid !== oldPid ? view : undefined;
    });
  }
}
