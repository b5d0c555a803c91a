import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Keyring } from "@polkadot/api";
import { base58Encode, encodeAddress } from "@polkadot/util-crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { unhex } from "../chain.js";
import { accountOf, ethereumKey, type Role } from "../ethereum.js";
import { openKeystore } from "../node-identity.js";
import { freePorts } from "../ports.js";
import { chroom } from "../programs.js";
import { until } from "../until.js";
import { finalised, type Note } from "./checks.js";
import { specification, type GenesisNode } from "./specification.js";
import { Zombie } from "./zombie.js";

/** One CHR in the smallest unit. */
const CHR = 10n ** 12n;
/** What a node has for its transactions. */
const FLOAT = 100n * CHR;
/** Around Frankfurt. */
const CELL = "841faa3ffffffff";
/** The nodes of zombienet/network.toml, and who owns them. */
const NODES: { name: string; role: Role; owner: string; ports: string[] }[] = [
  { name: "registry-1", role: "registry", owner: "//Eve", ports: ["RPC", "P2P", "HTTP"] },
  { name: "registry-2", role: "registry", owner: "//Eve", ports: ["RPC", "P2P", "HTTP"] },
  { name: "registry-3", role: "registry", owner: "//Eve", ports: ["RPC", "P2P", "HTTP"] },
  { name: "media-1", role: "media", owner: "//Charlie", ports: ["RPC", "UDP", "HTTP"] },
  { name: "media-2", role: "media", owner: "//Dave", ports: ["RPC", "UDP", "HTTP"] },
  { name: "orchestrator-1", role: "orchestrator", owner: "//Ferdie", ports: ["HTTP"] },
];

/** The whole network: services come up, roots are sent, a snapshot is final, claims are paid. */
export async function network(folder: string, note: Note): Promise<void> {
  const variables: Record<string, string> = { CHROOM_RUN: folder, CHROOM_CELL: CELL };
  const [chainPort] = await freePorts(1);
  variables.CHAIN_PORT = String(chainPort);
  const nodes: (GenesisNode & { name: string })[] = [];
  for (const plan of NODES) nodes.push(await prepare(folder, plan, variables));
  writeApplications(folder);
  variables.CHROOM_SPEC = await specification(folder, {
    nodes: nodes.map(({ name: _, ...node }) => node),
    balances: nodes.map(({ node }) => [encodeAddress(accountOf(node as `0x${string}`), 42), FLOAT]),
  });
  const zombie = await Zombie.start("network", folder, variables);
  try {
    await finalised(zombie.nodes, 3);
    const http = (name: string): string => `http://127.0.0.1:${variables[`${variable(name)}_HTTP`]}`;
    for (const { name } of NODES) {
      await until(`${name} is healthy`, 180_000, async () => (await fetch(`${http(name)}/health`)).ok, 1_000);
    }
    note(`${NODES.length} custom processes are healthy`);

    const { chain } = zombie.node("alice");
    const media = nodes.filter(({ role }) => role === "media");
    // The first epoch that begins with all of them running.
    const epoch = (await chain.epoch()) + 1;
    await until(`epoch ${epoch} is over`, 300_000, async () => (await chain.epoch()) > epoch, 1_000);
    let roots = 0;
    for (const { node, name } of media) {
      const committee = await chain.committee(epoch, node);
      assert.ok(committee.length > 0, `${name} has a committee`);
      for (const member of committee) {
        await until(`${member} sent its root`, 90_000, () => chain.attestation(epoch, member), 1_000);
        roots += 1;
      }
    }
    const snapshot = await until("a snapshot is final", 90_000, () => chain.snapshot(epoch), 1_000);
    note(
      `epoch ${epoch}: ${roots} committee members have roots, snapshot final with ${snapshot.votes} votes`,
    );

    for (const { node, name, owner } of media) {
      const before = await chain.free(owner);
      const claimed = await until(
        `${name} claims epoch ${epoch}`,
        120_000,
        () =>
          chroom<{ claims: { total: string }[] }>([
            ...["rewards", "claim", node, "--epoch", String(epoch)],
            ...["--owner", join(folder, name, "wallet.json")],
            ...["--owner-passphrase-file", join(folder, name, "passphrase")],
            ...["--chain", zombie.node("alice").ws, "--registry-url", http("registry-1")],
          ]),
        3_000,
      );
      assert.equal(claimed.claims.length, 1);
      assert.ok(BigInt(claimed.claims[0]?.total ?? 0) > 0n, `${name} is paid`);
      await until(`${name}'s owner is paid`, 60_000, async () => (await chain.free(owner)) > before);
      note(`${name} claimed ${claimed.claims[0]?.total}`);
    }
  } finally {
    await zombie.stop();
  }
}

/** Makes a node's keystore, and sets the variables that stand for its ports and id. */
async function prepare(
  folder: string,
  { name, role, owner, ports }: (typeof NODES)[number],
  variables: Record<string, string>,
): Promise<GenesisNode & { name: string }> {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const [wallet, passphrase] = [join(home, "wallet.json"), join(home, "passphrase")];
  writeFileSync(passphrase, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  await chroom(["wallet", "create", "--light", "--out", wallet, "--passphrase-file", passphrase]);
  const secret = openKeystore(wallet, passphrase);
  const node = ethereumKey(secret).address;
  const free = await freePorts(ports.length);
  const prefix = variable(name);
  ports.forEach((port, index) => (variables[`${prefix}_${port}`] = String(free[index])));
  variables[`${prefix}_ID`] = node;
  variables[`${prefix}_ADDRESS`] = `/ip4/127.0.0.1/tcp/${variables[`${prefix}_P2P`]}/p2p/${peer(secret)}`;
  return {
    name,
    node,
    owner: new Keyring({ type: "sr25519" }).addFromUri(owner).address,
    role,
    class: "small",
    cell: BigInt(`0x${CELL}`),
    endpoint: `127.0.0.1:${variables[`${prefix}_RPC`] ?? variables[`${prefix}_HTTP`]}`,
    price_per_gib: role === "media" ? CHR : 0n,
  };
}

/** The orchestrator's list of applications, with one whose escrow nobody filled: no calls are held here. */
function writeApplications(folder: string): void {
  writeFileSync(join(folder, "demo.secret"), randomBytes(32).toString("base64url"), { mode: 0o600 });
  const account = new Keyring({ type: "sr25519" }).addFromUri("//Ferdie//demo").address;
  writeFileSync(
    join(folder, "apps.toml"),
    `[[app]]\nkey = "demo"\nsecret_file = "demo.secret"\naccount = "${account}"\n`,
  );
}

/** The libp2p peer id of a secp256k1 key: base58 of the identity multihash of its protobuf form. */
function peer(secret: Uint8Array): string {
  const key = secp256k1.getPublicKey(secret, true);
  const protobuf = Buffer.concat([unhex("08021221"), key]);
  return base58Encode(Buffer.concat([Buffer.of(0, protobuf.length), protobuf]));
}

function variable(name: string): string {
  return name.toUpperCase().replace("-", "_");
}
