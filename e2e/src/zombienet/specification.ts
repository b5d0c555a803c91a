import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Keyring } from "@polkadot/api";
import { encodeAddress } from "@polkadot/util-crypto";
import { run } from "../programs.js";

/** Bond of a validator of the genesis, as the `local` preset has it: one million CHR. */
const VALIDATOR_BOND = 10n ** 18n;

/** Slots of a session: half of what the preset has, as the checks wait for sessions and eras. */
const SESSION_SLOTS = 10;

/** A node that is registered in the genesis. */
export interface GenesisNode {
  node: string;
  owner: string;
  role: "media" | "orchestrator" | "registry";
  class: "small";
  cell: bigint;
  endpoint: string;
  price_per_gib: bigint;
}

/** What is added to the `local` preset, which has two validators and no nodes. */
export interface Additions {
  /** Development accounts that validate besides //Alice and //Bob. */
  validators?: string[];
  nodes?: GenesisNode[];
  /** Accounts with money, in the smallest unit. */
  balances?: [account: string, amount: bigint][];
}

/** The parts of a specification that are used here. */
interface Specification {
  genesis: {
    runtimeGenesis: {
      patch: {
        balances: { balances: unknown[] };
        session: { keys: unknown[] };
        validators: { validators: unknown[]; sessionLength: number };
        nodes: { nodes?: unknown[] };
      };
    };
  };
}

/** Writes the raw specification of the `local` preset with additions and shorter sessions, and returns its path. */
export async function specification(folder: string, additions: Additions): Promise<string> {
  const preset = await exported("local", join(folder, "local.json"));
  const spec = JSON.parse(readFileSync(preset, "utf8")) as Specification;
  const { patch } = spec.genesis.runtimeGenesis;
  for (const name of additions.validators ?? []) {
    const { account, keys } = validator(name);
    patch.session.keys.push([account, account, keys]);
    patch.validators.validators.push([account, VALIDATOR_BOND]);
  }
  patch.validators.sessionLength = SESSION_SLOTS;
  patch.balances.balances.push(...(additions.balances ?? []));
  patch.nodes.nodes = [...(patch.nodes.nodes ?? []), ...(additions.nodes ?? [])];
  const plain = join(folder, "genesis.json");
  writeFileSync(plain, written(spec));
  return exported(plain, join(folder, "raw.json"), "--raw");
}

async function exported(chain: string, output: string, ...more: string[]): Promise<string> {
  const args = ["export-chain-spec", "--chain", chain, ...more, "--output", output];
  const { code, stderr } = await run("chroom-node", args, 120_000);
  if (code !== 0) throw new Error(`chroom-node ${args.join(" ")} ended with ${code}: ${stderr.slice(-600)}`);
  return output;
}

/** A development account, and the session keys that `--<name>` gives a node. */
function validator(name: string): { account: string; keys: Record<string, string> } {
  const uri = `//${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const address = (type: "sr25519" | "ed25519"): string => new Keyring({ type }).addFromUri(uri).address;
  const account = address("sr25519");
  return {
    account,
    keys: {
      babe: account,
      grandpa: address("ed25519"),
      authority_discovery: account,
      // The key itself, not the hash of it that is its account.
      beefy: encodeAddress(new Keyring({ type: "ecdsa" }).addFromUri(uri).publicKey),
    },
  };
}

/** JSON with whole numbers of any size, which JavaScript's own doesn't write. */
function written(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_, one: unknown) => (typeof one === "bigint" ? `bigint:${one}` : one),
    1,
  );
  return text.replace(/"bigint:(\d+)"/g, "$1");
}
