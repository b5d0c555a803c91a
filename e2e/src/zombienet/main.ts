import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cryptoWaitReady } from "@polkadot/util-crypto";
import type { Note } from "./checks.js";
import { faults } from "./faults.js";
import { network } from "./network.js";
import { validators } from "./validators.js";
import { Zombie } from "./zombie.js";

/*
 * Runs the networks of zombienet/ one after the other, each with its checks. The last line is "N passed, N failed".
 *   node dist/zombienet/main.js [validators] [network] [faults]
 */
const NETWORKS: Record<string, (folder: string, note: Note) => Promise<void>> = {
  validators,
  network,
  faults,
};

const wanted = process.argv.slice(2);
const strange = wanted.filter((name) => !(name in NETWORKS));
if (strange.length > 0) {
  console.error(`no such network: ${strange.join(", ")}; there are ${Object.keys(NETWORKS).join(", ")}`);
  process.exit(2);
}
let folder = "";
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    console.log(`interrupted${folder === "" ? "" : `; its data and logs are kept in ${folder}`}`);
    void Zombie.stopAll().finally(() => process.exit(130));
  });
// Keys are derived before there is a chain to talk to.
await cryptoWaitReady();
let passed = 0;
let failed = 0;
for (const [name, check] of Object.entries(NETWORKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  folder = mkdtempSync(join(tmpdir(), `chroom-zombienet-${name}-`));
  const began = Date.now();
  const note: Note = (line) => console.log(`       ${line}`);
  console.log(`== ${name}`);
  try {
    await check(folder, note);
    passed += 1;
    console.log(`ok     ${name} (${((Date.now() - began) / 1000).toFixed(0)} s)`);
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${(error as Error).stack ?? String(error)}`);
    console.log(`       its data and logs are kept in ${folder}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
