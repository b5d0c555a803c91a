import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Chain } from "../chain.js";
import { BIN } from "../programs.js";
import { until } from "../until.js";

/** zombie-cli; scripts/zombienet.sh installs it. */
const ZOMBIE = process.env.CHROOM_ZOMBIE ?? "zombie-cli";

/** Where the networks' definitions are. */
const NETWORKS = resolve(import.meta.dirname, "../../../zombienet");

/** What `zombie.json` says of a node; see zombienet-sdk's orchestrator and its native provider. */
interface NodeView {
  name: string;
  ws_uri: string;
  inner: { process_handle: number; program: string; args: string[]; base_dir: string };
}

/** A node of the chain that zombienet runs. */
export class ZombieNode {
  readonly chain: Chain;
  #pid: number;
  #restarted: ChildProcess | undefined;

  constructor(private readonly view: NodeView) {
    this.chain = new Chain(view.ws_uri);
    this.#pid = view.inner.process_handle;
  }

  get name(): string {
    return this.view.name;
  }

  get ws(): string {
    return this.view.ws_uri;
  }

  /** Stops it as if its machine hung, until it is resumed. */
  pause(): void {
    process.kill(this.#pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.#pid, "SIGCONT");
  }

  /** Ends it without a chance to tidy up. */
  kill(): void {
    process.kill(this.#pid, "SIGKILL");
  }

  /** Starts it again as it was started before. */
  restart(): void {
    const { program, args, base_dir: folder } = this.view.inner;
    const log = openSync(join(folder, `${this.name}-restarted.log`), "a");
    this.#restarted = spawn(program, args, {
      cwd: folder,
      env: environment({}),
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const { pid } = this.#restarted;
    if (pid === undefined) throw new Error(`${this.name} cannot be started again`);
    this.#pid = pid;
  }

  /** Ends what `restart` began: zombienet doesn't know of it. */
  end(): void {
    this.#restarted?.kill("SIGKILL");
  }
}

/** A network that zombie-cli's native provider runs. */
export class Zombie {
  /** Those that have not been stopped. */
  static readonly #running = new Set<Zombie>();

  private constructor(
    private readonly program: ChildProcess,
    private readonly ended: Promise<void>,
    readonly log: string,
    readonly nodes: ZombieNode[],
  ) {}

  /**
   * Starts `zombienet/<network>.toml` with `variables` for what stands in it in double braces, and waits until all nodes are up. With
   * `faults`, zombie-cli doesn't watch the nodes: else it would end the network with the first one that is paused.
   */
  static async start(
    network: string,
    folder: string,
    variables: Record<string, string>,
    faults = false,
  ): Promise<Zombie> {
    mkdirSync(folder, { recursive: true });
    const data = join(folder, "zombie");
    const log = join(folder, "zombie.log");
    const output = openSync(log, "a");
    const args = ["spawn", "--provider", "native", "--dir", data];
    if (faults) args.push("--node-verifier", "none");
    // A process group of its own, so that all it started can be ended together.
    const program = spawn(ZOMBIE, [...args, join(NETWORKS, `${network}.toml`)], {
      // What it says is read from a file, and its last lines are shown.
      env: environment({ ...variables, NO_COLOR: "1", RUST_BACKTRACE: "0" }),
      stdio: ["ignore", output, output],
      detached: true,
    });
    closeSync(output);
    let over = "";
    const ended = new Promise<void>((done) => {
      program.on("error", (error) => done(void (over = `cannot run ${ZOMBIE}: ${error.message}`)));
      program.on("close", (code) => done(void (over ||= `zombie-cli ended with ${code}`)));
    });
    const zombie = new Zombie(program, ended, log, []);
    Zombie.#running.add(zombie);
    try {
      await until(`${network} is up`, 300_000, () => {
        if (over !== "") return true;
        return existsSync(join(data, "zombie.json")) && readFileSync(log, "utf8").includes("network is up");
      });
      if (over !== "") throw new Error(over);
      const { relay } = JSON.parse(readFileSync(join(data, "zombie.json"), "utf8")) as {
        relay: { nodes: NodeView[] };
      };
      zombie.nodes.push(...relay.nodes.map((view) => new ZombieNode(view)));
      return zombie;
    } catch (error) {
      const said = readFileSync(log, "utf8").trim().split("\n").slice(-20).join("\n");
      await zombie.stop();
      throw new Error(`${(error as Error).message}\nzombie-cli said (${log}):\n${said}`, { cause: error });
    }
  }

  node(name: string): ZombieNode {
    const node = this.nodes.find((one) => one.name === name);
    if (!node) throw new Error(`the network has no ${name}`);
    return node;
  }

  /** Ends all networks: they have process groups of their own, which don't hear of a Ctrl-C. */
  static async stopAll(): Promise<void> {
    await Promise.all([...Zombie.#running].map((zombie) => zombie.stop()));
  }

  /** Ends all of it: asks first, then makes it, paused ones included. */
  async stop(): Promise<void> {
    Zombie.#running.delete(this);
    for (const node of this.nodes) node.end();
    const { pid } = this.program;
    if (pid === undefined) return;
    const signal = (name: NodeJS.Signals): void => {
      try {
        process.kill(-pid, name);
      } catch {
        // Nobody is left in the group.
      }
    };
    signal("SIGTERM");
    const timer = setTimeout(() => signal("SIGKILL"), 15_000);
    await this.ended;
    clearTimeout(timer);
    // zombie-cli doesn't wait for its children.
    signal("SIGKILL");
  }
}

function environment(variables: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${BIN}:${process.env.PATH ?? ""}`, ...variables };
}
