import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Context } from "../context.js";
import { bytesField, bytesOf, call, STATUS, type GrpcAnswer } from "../grpc.js";
import { unhex } from "../chain.js";
import { nodeIdentity } from "../identities.js";
import { tlsIdentity } from "../node-identity.js";
import { freePorts } from "../ports.js";
import { chroom, Program } from "../programs.js";
import { refusal, Signalling } from "../signalling.js";
import { token } from "../token.js";
import { until } from "../until.js";

const JOIN = "/chroom.v1.Registry/Join";
const GET = "/chroom.v1.Registry/Get";

/** What may not be is refused, with a reason that a person can read. */
export async function refusals(suite: Context, t: TestContext): Promise<void> {
  const done: string[] = [];
  await stake(suite, done);
  await records(suite, done);
  await tokens(suite, done);
  t.diagnostic(done.join("; "));
}

/** A media node without a stake, and one whose key is not the registered one. */
async function stake(suite: Context, done: string[]): Promise<void> {
  const { network } = suite;
  const folder = mkdtempSync(join(tmpdir(), "chroom-stranger-"));
  const registry = network.ready.registries[0];
  assert.ok(registry);
  try {
    const passphrase = join(folder, "passphrase");
    writeFileSync(passphrase, "a stranger's passphrase\n", { mode: 0o600 });
    const wallet = join(folder, "wallet.json");
    const created = await chroom<{ node?: string; address?: string }>([
      ...["wallet", "create", "--light"],
      ...["--out", wallet],
      ...["--passphrase-file", passphrase],
    ]);
    const stranger = (created.node ?? created.address ?? "").toLowerCase();
    assert.match(stranger, /^0x[0-9a-f]{40}$/);
    const ports = await freePorts(3);
    // It claims the place and the endpoint of a registered node, but its key is another: neither helps without a stake.
    const program = new Program("chroom-media-node", [
      ...["--wallet", wallet],
      ...["--passphrase-file", passphrase],
      ...["--chain", network.ready.chain],
      ...["--data", join(folder, "data")],
      ...["--rpc-listen", `127.0.0.1:${ports[0]}`],
      ...["--media-listen", `127.0.0.1:${ports[1]}`],
      ...["--http-listen", `127.0.0.1:${ports[2]}`],
      ...["--registry", `${registry.nodeId}@${registry.rpc}`],
      ...["--cell", network.media("media-1").cell],
    ]);
    try {
      await until("the media node without a stake says why it does not serve", 45_000, () =>
        /not registered/i.test(program.stderr + program.stdout),
      );
    } finally {
      await program.stop();
    }
    const known = (await (await fetch(`${network.ready.orchestrators[0]?.http}/v1/network`)).json()) as {
      nodes: { id: string }[];
    };
    assert.ok(
      !known.nodes.some(({ id }) => id.toLowerCase() === stranger),
      "the orchestrator does not take it up",
    );
    done.push("media node without a stake does not serve, says why");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  // The same at the registry's door, whatever the node's own software does.
  const stranger = tlsIdentity();
  const answer = await call(registry.rpc, JOIN, bytesField(1, Buffer.alloc(100)), stranger);
  refused(answer, STATUS.permissionDenied, /not registered/);
  await logged(suite, registry.name, stranger.node);
  await assert.rejects(
    call(registry.rpc, JOIN, Buffer.alloc(0)),
    "nobody comes in without a node's certificate",
  );
  done.push(`registry refuses the unknown key: "${answer.message.slice(0, 60)}…"`);
}

/** Records that are forged, replayed, or brought by somebody else; calls that a role may not make. */
async function records(suite: Context, done: string[]): Promise<void> {
  const { network } = suite;
  const registry = network.ready.registries[0];
  assert.ok(registry);
  const owner = nodeIdentity(network, "media-2");
  const other = nodeIdentity(network, "media-1");
  assert.equal(
    owner.node,
    network.media("media-2").nodeId.toLowerCase(),
    "the keystore gives the node's identity",
  );
  const entry = await call(registry.rpc, GET, bytesField(1, unhex(owner.node)), owner);
  assert.equal(entry.status, STATUS.ok, entry.message);
  const record = bytesOf(entry.body, 2);
  assert.ok(record, "the registry has a record of media-2");

  const replayed = await call(registry.rpc, JOIN, bytesField(1, record), owner);
  refused(replayed, STATUS.alreadyExists, /stored already|older/);
  const stolen = await call(registry.rpc, JOIN, bytesField(1, record), other);
  refused(stolen, STATUS.permissionDenied, /own record only|connection/);
  // One more in the sequence number, which follows the node's 20 bytes: what the signature covers no longer fits.
  const forged = Buffer.from(record);
  forged.writeBigUInt64LE(forged.readBigUInt64LE(20) + 1n, 20);
  const tampered = await call(registry.rpc, JOIN, bytesField(1, forged), owner);
  refused(tampered, STATUS.invalidArgument, /signature/);
  await logged(suite, registry.name, other.node);
  const after = await call(registry.rpc, GET, bytesField(1, unhex(owner.node)), owner);
  const kept = bytesOf(after.body, 2);
  assert.ok(kept && kept.readBigUInt64LE(20) >= record.readBigUInt64LE(20), "the true record stands");
  done.push("replayed, stolen and forged records are refused");

  const media = network.media("media-1");
  const stats = await call(
    media.rpc,
    "/chroom.v1.Media/Stats",
    Buffer.alloc(0),
    nodeIdentity(network, "media-2"),
  );
  refused(stats, STATUS.permissionDenied, /orchestrator/);
  done.push("a media node obeys orchestrators only");
}

/** Access tokens: forged, expired, of an unknown application, with too few rights. */
async function tokens(suite: Context, done: string[]): Promise<void> {
  const orchestrator = suite.network.ready.orchestrators[0];
  assert.ok(orchestrator);
  const { app } = suite;
  const join = async (text: string) => {
    const client = await Signalling.open(orchestrator.ws);
    try {
      return await refusal(client.join(text));
    } finally {
      client.close();
    }
  };
  const cases: [string, string, number, string, RegExp][] = [
    [
      "forged",
      token({ ...app, secret: Buffer.from("another secret than the application's") }),
      -32001,
      "token-invalid",
      /sign/i,
    ],
    [
      "unknown application",
      token({ key: "nobody", secret: app.secret }),
      -32001,
      "token-invalid",
      /kid|key/i,
    ],
    ["not a token", "not.a.token", -32001, "token-invalid", /JWT|malformed/i],
    ["expired", token(app, { expiresIn: -60 }), -32002, "token-expired", /expired/i],
    ["not yet valid", token(app, { notBefore: 600 }), -32002, "token-expired", /only|yet|in/i],
    ["without join", token(app, { join: false }), -32003, "not-permitted", /join/i],
  ];
  for (const [name, text, code, slug, message] of cases) {
    const error = await join(text);
    assert.equal(error.code, code, `${name}: ${error.message}`);
    assert.equal(error.data.reason, slug, name);
    assert.match(error.message, message, name);
    assert.equal(typeof error.data.hint, "string", `${name}: there is a hint`);
  }
  const parts = token(app, { room: "a" }).split(".");
  const other = token(app, { room: "b" }).split(".");
  const swapped = await join([parts[0], other[1], parts[2]].join("."));
  assert.equal(swapped.data.reason, "token-invalid", "claims of one token with the signature of another");

  // Rights are checked at each request, not only at the door.
  const listener = await Signalling.open(orchestrator.ws);
  await listener.join(token(app, { publish: false, identity: "listener" }));
  const publishing = await refusal(
    listener.call("session.negotiate", {
      sdp: "v=0\r\n",
      publish: [{ mid: "0", source: "camera" }],
      subscribe: [],
    }),
  );
  assert.equal(publishing.data.reason, "not-permitted");
  assert.equal(publishing.data.needs, "publish");
  const kicking = await refusal(listener.call("room.kick", { participant: "anyone" }));
  assert.equal(kicking.data.needs, "admin");
  const forged = await refusal(
    listener.call("session.receipt", { payload: "{}", signature: Buffer.alloc(64, 1).toString("base64url") }),
  );
  assert.equal(forged.data.reason, "receipt-refused");
  listener.close();
  const stranger = await Signalling.open(orchestrator.ws);
  const nothing = await refusal(stranger.call("node.info", {}));
  assert.equal(nothing.data.reason, "no-session");
  stranger.close();

  // A person reads the same on the page.
  const page = await suite.ada.join(suite.network.ready.demo, "refusals", "Late", {
    token: token(app, { expiresIn: -60 }),
    url: orchestrator.ws,
  });
  const failure = await page.failure();
  assert.equal(failure.slug, "token-expired");
  assert.ok(
    failure.shown.includes(failure.message) && failure.shown.includes(failure.hint),
    "reason and hint are on the page",
  );
  await page.page.close();
  done.push(
    `${cases.length + 4} bad tokens and requests are refused with slug and hint; the page shows "${failure.message}"`,
  );
}

function refused(answer: GrpcAnswer, status: number, reason: RegExp): void {
  assert.equal(answer.status, status, `status ${answer.status}: ${answer.message}`);
  assert.match(answer.message, reason);
}

/** Waits until a process has logged a refusal that names the node. */
async function logged(suite: Context, process: string, node: string): Promise<void> {
  await until(`${process} logs that it refused ${node}`, 10_000, () =>
    suite.network
      .log(process)
      .split("\n")
      .some((line) => /refused/i.test(line) && line.toLowerCase().includes(node.toLowerCase())),
  );
}
