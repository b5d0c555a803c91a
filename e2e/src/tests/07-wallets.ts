import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { AddressOrPair, Signer } from "@polkadot/api/types";
import { Metadata, TypeRegistry } from "@polkadot/types";
import { hashTypedData, recoverTypedDataAddress, type Hex } from "viem";
import { accountBytes, hex, unhex } from "../chain.js";
import type { Context } from "../context.js";
import { EthereumKey, ethereumKey, typedData, type NodeRegistration, type Role } from "../ethereum.js";
import { post } from "../json-rpc.js";
import { openKeystore } from "../node-identity.js";
import { DispatchError, Polkadot } from "../polkadot.js";
import { until } from "../until.js";

/** One CHR in the smallest unit. */
const CHR = 10n ** 12n;
/** Bond of a node here: above every minimum of the local network. */
const BOND = 1_000n * CHR;
/** Blocks for which what is signed here holds. */
const LIFETIME = 200;
/** The pallets that make the chain Chroom's. */
const PALLETS = ["validators", "nodes", "qos", "rewards", "anchor"];
/** Versions of metadata that Polkadot.js can decode. */
const READABLE = [14, 15, 16];

/** An authorisation and its hash, from the tests of `chroom_primitives::typed_data`: made by a third implementation (eth-account). */
const VECTOR: { genesis: Hex; message: NodeRegistration; hash: Hex } = {
  genesis: `0x${"05".repeat(32)}`,
  message: {
    node: "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
    role: "media",
    capacityClass: "small",
    bond: 100n * CHR,
    nonce: 0n,
    expiresAtBlock: 1_200n,
  },
  hash: "0x62518d33f16baf087abc26b3b7a6786e49feaf3d8e8e69a8191cf89f16957b22",
};

/** A registered node, as storage has it. */
interface Registered {
  owner: string;
  role: string;
  status: string;
  class: string;
  bond: number | string;
}

/** Wallets that know nothing of Chroom: Polkadot.js has only the chain's metadata, viem only an Ethereum key. */
export async function wallets(suite: Context, t: TestContext): Promise<void> {
  const polkadot = await Polkadot.connect(suite.network.ready.chain);
  try {
    const session = new Session(suite, polkadot, (await suite.chain.genesis()) as Hex);
    await t.test("07a Polkadot.js reads the chain's metadata", (t) => session.metadata(t));
    await t.test("07b the address is the one that the EVM wallet shows", (t) => session.addresses(t));
    await t.test("07c Polkadot.js sends a signed transfer", (t) => session.transfer(t));
    await t.test("07d Polkadot.js registers a node whose key proves itself", (t) => session.registration(t));
    await t.test("07e an Ethereum key signs a registration by personal_sign", (t) => session.personalSign(t));
    await t.test("07f an Ethereum key authorises a node by EIP-712", (t) => session.typedData(t));
  } finally {
    await polkadot.close();
  }
}

class Session {
  /** An owner whose key is in an EVM wallet; the transfer gives it money. */
  readonly owner = new EthereumKey();
  /** A node that pays for its own registration. */
  readonly node = new EthereumKey();

  constructor(
    private readonly suite: Context,
    private readonly polkadot: Polkadot,
    private readonly genesis: Hex,
  ) {}

  async metadata(t: TestContext): Promise<void> {
    const { api } = this.polkadot;
    assert.equal(api.genesisHash.toHex(), this.genesis);
    for (const pallet of PALLETS) assert.ok(api.query[pallet], `${pallet} has storage`);
    assert.equal(api.registry.chainDecimals[0], 12);
    assert.equal(api.registry.chainTokens[0], "CHR");
    const { url } = this.suite.chain;
    const call = async (method: string, args: string): Promise<string> =>
      post<string>(url, "state_call", [method, args]);
    const offered = api.createType("Vec<u32>", await call("Metadata_metadata_versions", "0x"));
    const versions = offered.map((version) => version.toNumber()).filter((one) => READABLE.includes(one));
    assert.ok(versions.includes(14) && versions.includes(15), `${offered.toString()} are offered`);
    for (const version of versions) {
      const argument = api.createType("u32", version).toHex(true);
      const answer = await call("Metadata_metadata_at_version", argument);
      const bytes = api.createType("Option<Bytes>", unhex(answer)).unwrap();
      const metadata = new Metadata(new TypeRegistry(), bytes.toHex());
      assert.equal(metadata.version, version);
      const names = metadata.asLatest.pallets.map(({ name }) => name.toString().toLowerCase());
      for (const pallet of PALLETS) assert.ok(names.includes(pallet), `version ${version} has ${pallet}`);
    }
    t.diagnostic(
      `versions ${versions.join(", ")} decoded; the API works with ${api.runtimeMetadata.version}`,
    );
  }

  async addresses(t: TestContext): Promise<void> {
    const media = this.suite.network.media("media-1");
    const folder = join(this.suite.network.data, "media-1");
    const key = ethereumKey(openKeystore(join(folder, "wallet.json"), join(folder, "passphrase")));
    assert.equal(key.address, media.nodeId.toLowerCase(), "viem shows the node's id for the node's key");
    const account = `${key.address}${"ee".repeat(12)}`;
    assert.equal(key.account, account);
    assert.equal(hex(accountBytes(key.address)), account);
    const stored = await this.polkadot.stored<{ data: { free: number | string } }>(
      "system",
      "account",
      account,
    );
    assert.equal(BigInt(stored.data.free), await this.suite.chain.free(key.address), "both read one balance");
    assert.ok(BigInt(stored.data.free) > 0n, "the node's money is in that account");
    t.diagnostic(`${key.wallet.address} is the node and owns ${account}`);
  }

  async transfer(t: TestContext): Promise<void> {
    const { chain } = this.suite;
    const amounts: [EthereumKey, bigint][] = [
      [this.owner, 5_000n * CHR],
      [this.node, 10n * CHR],
    ];
    const alice = this.polkadot.account("//Alice");
    const before = await chain.free(alice.address);
    const transfers = amounts.map(([to, amount]) =>
      this.polkadot.call("balances", "transferKeepAlive", { dest: to.account, value: amount }),
    );
    const batch = this.polkadot.call("utility", "batchAll", { calls: transfers });
    const result = await this.polkadot.submit(batch, alice);
    for (const [to, amount] of amounts) {
      await until(
        `${to.address} has its money`,
        30_000,
        async () => (await chain.free(to.address)) === amount,
      );
    }
    const sent = amounts.reduce((sum, [, amount]) => sum + amount, 0n);
    assert.ok((await chain.free(alice.address)) <= before + 100n * CHR - sent, "//Alice paid");
    t.diagnostic(`//Alice signed with sr25519; final in ${result.status.asFinalized.toHex().slice(0, 10)}…`);
  }

  async registration(t: TestContext): Promise<void> {
    const alice = this.polkadot.account("//Alice");
    const node = new EthereumKey();
    const call = await this.register(node, alice.publicKey, "media");
    // Another owner's extrinsic with the same proof is refused: the proof names the owner.
    await this.refused(this.polkadot.submit(call, this.polkadot.account("//Bob")), "nodes.InvalidKeyProof");
    await this.polkadot.submit(call, alice);
    const registered = await this.registered(node.address);
    assert.deepEqual(
      { role: registered.role, status: registered.status, class: registered.class },
      { role: "Media", status: "Active", class: "Small" },
    );
    assert.equal(hex(accountBytes(registered.owner)), hex(alice.publicKey));
    assert.equal(BigInt(registered.bond), BOND);
    await this.leave(node, alice);
    t.diagnostic(`${node.address} was registered by //Alice, and left again`);
  }

  async personalSign(t: TestContext): Promise<void> {
    const node = new EthereumKey();
    const call = await this.register(node, unhex(this.owner.account), "media");
    // The owner's own signature is one of the same kind, over the extrinsic's payload.
    await this.polkadot.submit(call, this.owner.account, this.owner.signer);
    const registered = await this.registered(node.address);
    assert.equal(hex(accountBytes(registered.owner)), this.owner.account);
    assert.equal(BigInt(registered.bond), BOND);
    // A signature by another key is no transaction of this account.
    await assert.rejects(
      this.polkadot.submit(this.unbonding(node), this.owner.account, node.signer),
      /bad signature|1010/i,
    );
    await this.leave(node, this.owner.account, this.owner.signer);
    t.diagnostic(`${node.address} was registered by ${this.owner.address}, both signed with personal_sign`);
  }

  async typedData(t: TestContext): Promise<void> {
    assert.equal(hashTypedData(typedData(VECTOR.genesis, VECTOR.message)), VECTOR.hash);
    const expiresAt = await this.expiry();
    const message: NodeRegistration = {
      node: this.node.address,
      role: "media",
      capacityClass: "small",
      bond: BOND,
      nonce: 0n,
      expiresAtBlock: BigInt(expiresAt),
    };
    const authorization = await this.owner.authorise(this.genesis, message);
    const data = typedData(this.genesis, message);
    assert.equal(
      (await recoverTypedDataAddress({ ...data, signature: authorization })).toLowerCase(),
      this.owner.address,
    );
    const register = (bond: bigint, signature: Hex) =>
      this.polkadot.call("nodes", "registerAuthorized", {
        owner: this.owner.address,
        role: "Media",
        class: "Small",
        ...this.attributes(),
        bond,
        expiresAt,
        authorization: signature,
      });
    const submit = (bond: bigint, signature: Hex) =>
      this.polkadot.submit(register(bond, signature), this.node.account, this.node.signer);
    // What was signed for another network, and a bond that was not signed.
    const foreign = await this.owner.authorise(`0x${"11".repeat(32)}`, message);
    await this.refused(submit(BOND, foreign), "nodes.InvalidAuthorization");
    await this.refused(submit(2n * BOND, authorization), "nodes.InvalidAuthorization");
    await submit(BOND, authorization);
    const registered = await this.registered(this.node.address);
    assert.equal(
      hex(accountBytes(registered.owner)),
      this.owner.account,
      "the wallet's account owns the node",
    );
    assert.equal(BigInt(registered.bond), BOND);
    const account = await this.polkadot.stored<{ data: { reserved: number | string } }>(
      "system",
      "account",
      this.owner.account,
    );
    assert.ok(BigInt(account.data.reserved) >= BOND, "the bond is on hold at the owner's account");
    await this.leave(this.node, this.owner.account, this.owner.signer);
    t.diagnostic(
      `${this.owner.address} signed ${hashTypedData(data).slice(0, 10)}…, the node itself sent it`,
    );
  }

  /** A registration by `owner` with the proof that the node's key agrees. */
  private async register(node: EthereumKey, owner: Uint8Array, role: Role) {
    const nonce = await this.polkadot.stored<number>("nodes", "keyProofNonces", node.address);
    const expiresAt = await this.expiry();
    return this.polkadot.call("nodes", "register", {
      node: node.address,
      role,
      class: "Small",
      ...this.attributes(),
      bond: BOND,
      expiresAt,
      keyProof: await node.keyProof(this.genesis, { owner, role, nonce, expiresAt }),
    });
  }

  /** What a registration says besides: the place of an existing node, an endpoint where nobody listens. */
  private attributes() {
    const { cell } = this.suite.network.media("media-1");
    return {
      cell: BigInt(`0x${cell.replace(/^0x/, "")}`),
      endpoint: "127.0.0.1:9",
      pricePerGib: 0,
    };
  }

  private async expiry(): Promise<number> {
    return (await this.suite.chain.best()) + LIFETIME;
  }

  private async registered(node: string): Promise<Registered> {
    const registered = await this.polkadot.stored<Registered | null>("nodes", "nodes", node);
    assert.ok(registered, `${node} is registered`);
    return registered;
  }

  private unbonding(node: EthereumKey) {
    return this.polkadot.call("nodes", "unbond", { node: node.address });
  }

  /** Takes a node off the register, so that nobody is drawn for it or waits for it. */
  private async leave(node: EthereumKey, from: AddressOrPair, signer?: Signer): Promise<void> {
    await this.polkadot.submit(this.unbonding(node), from, signer);
    assert.equal((await this.registered(node.address)).status, "Unbonding");
  }

  /** Expects the chain to take a transaction into a block and refuse it there. */
  private async refused(submitted: Promise<unknown>, error: string): Promise<void> {
    await assert.rejects(submitted, (thrown: unknown) => {
      assert.ok(thrown instanceof DispatchError, String(thrown));
      assert.equal(thrown.message, error);
      return true;
    });
  }
}
