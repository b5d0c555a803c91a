import type { Signer } from "@polkadot/api/types";
import { keccak256, type Hex, type PrivateKeyAccount } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { hex } from "./chain.js";

/*
 * A key in an EVM wallet, as viem has it. What is signed with it is written from docs/identity.md, without the project's own code.
 */

/** Index of Ethereum's kind in the chain's enum of signatures. */
const ETHEREUM = "03";

/** Index of a role in the chain's enum. */
const ROLES = { media: 0, orchestrator: 1, registry: 2 };

/** What a node is to do. */
export type Role = keyof typeof ROLES;

/** What an owner authorises by typed data. */
export interface NodeRegistration {
  node: Hex;
  role: Role;
  capacityClass: string;
  bond: bigint;
  nonce: bigint;
  expiresAtBlock: bigint;
}

/** The typed data's types, as docs/identity.md lists them. */
const TYPES = {
  NodeRegistration: [
    { name: "node", type: "address" },
    { name: "role", type: "string" },
    { name: "capacityClass", type: "string" },
    { name: "bond", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "expiresAtBlock", type: "uint256" },
  ],
} as const;

/** The account of an EVM address: the address, then twelve bytes 0xEE. */
export function accountOf(address: Hex): Hex {
  return `${address.toLowerCase() as Hex}${"ee".repeat(12)}`;
}

/** The typed data of an authorisation for the network with this genesis hash. */
export function typedData(genesis: Hex, message: NodeRegistration) {
  return {
    domain: { name: "Chroom", version: "1", salt: genesis },
    types: TYPES,
    primaryType: "NodeRegistration",
    message,
  } as const;
}

/** An EVM wallet with one key. */
export class EthereumKey {
  readonly wallet: PrivateKeyAccount;

  constructor(secret: Hex = generatePrivateKey()) {
    this.wallet = privateKeyToAccount(secret);
  }

  /** The address that the wallet shows, in lower case, as the chain writes node ids. */
  get address(): Hex {
    return this.wallet.address.toLowerCase() as Hex;
  }

  /** The key's account on the chain. */
  get account(): Hex {
    return accountOf(this.wallet.address);
  }

  /** Signs extrinsics for Polkadot.js: `personal_sign` over the very bytes that a Polkadot wallet would sign. */
  get signer(): Signer {
    return {
      signRaw: async ({ data }) => {
        const signature = await this.wallet.signMessage({ message: { raw: data as Hex } });
        return { id: 1, signature: `0x${ETHEREUM}${signature.slice(2)}` };
      },
    };
  }

  /** The proof that this key, a node's, agrees to be registered by `owner`: `personal_sign` over the message's digest. */
  keyProof(
    genesis: Hex,
    { owner, role, nonce, expiresAt }: { owner: Uint8Array; role: Role; nonce: number; expiresAt: number },
  ): Promise<Hex> {
    const numbers = Buffer.alloc(9);
    numbers.writeUInt8(ROLES[role], 0);
    numbers.writeUInt32LE(nonce, 1);
    numbers.writeUInt32LE(expiresAt, 5);
    const digest = keccak256(
      Buffer.concat([
        Buffer.from("chroom/key-proof/1\0"),
        Buffer.from(genesis.slice(2), "hex"),
        Buffer.from(this.address.slice(2), "hex"),
        owner,
        numbers,
      ]),
    );
    return this.wallet.signMessage({ message: { raw: digest } });
  }

  /** The authorisation by which this key, an owner's, lets a node be registered: EIP-712. */
  authorise(genesis: Hex, message: NodeRegistration): Promise<Hex> {
    return this.wallet.signTypedData(typedData(genesis, message));
  }
}

/** A key that is in a keystore of the network. */
export function ethereumKey(secret: Uint8Array): EthereumKey {
  return new EthereumKey(hex(secret) as Hex);
}
