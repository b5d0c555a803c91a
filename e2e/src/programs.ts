import { spawn, type ChildProcess } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { PATIENCE } from "./until.js";

/** Where the programs are. */
export const BIN = process.env.CHROOM_BIN_DIR ?? join(homedir(), ".cache/chroom/target/debug");

/** A program that ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Most that is kept of what a program says. */
const MOST = 8 * 1024 * 1024;

/** A program that runs, and what it has said so far. */
export class Program {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly ended: Promise<Ended>;

  constructor(name: string, args: string[], env: Record<string, string> = {}) {
    this.child = spawn(join(BIN, name), args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.child.stdout?.on(
      "data",
      (data: Buffer) => (this.stdout = (this.stdout + data.toString()).slice(-MOST)),
    );
    this.child.stderr?.on(
      "data",
      (data: Buffer) => (this.stderr = (this.stderr + data.toString()).slice(-MOST)),
    );
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", (error) => reject(new Error(`cannot run ${join(BIN, name)}: ${error.message}`)));
      this.child.on("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
    // Whoever waits for the end hears of a failed start; nobody has to.
    this.ended.catch(() => undefined);
  }

  /** Asks it to end, and makes it after ten seconds. */
  async stop(signal: NodeJS.Signals = "SIGINT", patienceMs = 10_000): Promise<Ended | undefined> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), patienceMs);
    try {
      return await this.ended.catch(() => undefined);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Runs a program to its end. */
export async function run(
  name: string,
  args: string[],
  ms = 60_000,
  env: Record<string, string> = {},
): Promise<Ended> {
  const program = new Program(name, args, env);
  const timer = setTimeout(() => program.child.kill("SIGKILL"), ms * PATIENCE);
  try {
    return await program.ended;
  } finally {
    clearTimeout(timer);
  }
}

/** A command of `chroom` that failed: its error and hint. */
export class CliError extends Error {
  constructor(
    readonly args: string[],
    readonly code: number | null,
    readonly stderr: string,
  ) {
    super(`chroom ${args.join(" ")} ended with ${code}: ${stderr.trim().slice(-600)}`);
  }
}

/** Runs `chroom … --json` and gives what it printed. */
export async function chroom<T = Record<string, unknown>>(args: string[], ms = 60_000): Promise<T> {
  const { code, stdout, stderr } = await run("chroom", [...args, "--json"], ms);
  if (code !== 0) throw new CliError(args, code, stderr);
  return JSON.parse(stdout) as T;
}
