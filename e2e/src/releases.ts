import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "./programs.js";

const RELEASES = resolve(import.meta.dirname, "../releases");

/** Version of the newest runtime that was released. */
export const LAST_RELEASE = Math.max(
  ...readdirSync(RELEASES)
    .map(Number)
    .filter((version) => !Number.isNaN(version)),
);

interface Specification {
  genesis: { runtimeGenesis: { code: string } };
}

async function local(): Promise<Specification> {
  const { code, stdout, stderr } = await run("chroom-node", ["export-chain-spec", "--chain", "local"]);
  if (code !== 0) throw new Error(`chroom-node export-chain-spec ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Specification;
}

/** Specification of a local chain that begins with the newest runtime that was released. */
export async function lastRelease(): Promise<string> {
  const specification = await local();
  const file = join(RELEASES, String(LAST_RELEASE), "chroom_runtime.compressed.wasm");
  specification.genesis.runtimeGenesis.code = `0x${readFileSync(file).toString("hex")}`;
  return JSON.stringify(specification);
}

/** The runtime that was built with the node. */
export async function builtRuntime(): Promise<Buffer> {
  return Buffer.from((await local()).genesis.runtimeGenesis.code.slice(2), "hex");
}
