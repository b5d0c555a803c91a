import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";
import type { AddressOrPair, Signer, SubmittableExtrinsic } from "@polkadot/api/types";
import type { ISubmittableResult } from "@polkadot/types/types";

/** A transaction that has not been signed. */
export type Transaction = SubmittableExtrinsic<"promise">;

/** A transaction that the chain took into a block and refused there: `pallet.Error`. */
export class DispatchError extends Error {}

/** Polkadot.js's API, connected to a node of the chain: it knows of the chain only what the metadata say. */
export class Polkadot {
  private constructor(readonly api: ApiPromise) {}

  static async connect(ws: string): Promise<Polkadot> {
    const provider = new WsProvider(ws);
    return new Polkadot(await ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true }));
  }

  /** A well-known development account, such as `//Alice`. */
  account(uri: string): ReturnType<Keyring["addFromUri"]> {
    return new Keyring({ type: "sr25519" }).addFromUri(uri);
  }

  /** A call with its arguments by the names that the metadata give them; all of them have to be there, and no others. */
  call(pallet: string, name: string, values: Record<string, unknown>): Transaction {
    const make = this.api.tx[pallet]?.[name];
    if (!make) throw new Error(`the metadata have no call ${pallet}.${name}`);
    const names = make.meta.args.map((arg) => arg.name.toString());
    const strange = Object.keys(values).filter((one) => !names.includes(one));
    const missing = names.filter((one) => !(one in values));
    if (strange.length + missing.length > 0)
      throw new Error(
        `${pallet}.${name} takes (${names.join(", ")}), not (${Object.keys(values).join(", ")})`,
      );
    return make(...names.map((one) => values[one]));
  }

  /** What a storage item holds, as JSON. */
  async stored<T>(pallet: string, item: string, ...keys: unknown[]): Promise<T> {
    const query = this.api.query[pallet]?.[item];
    if (!query) throw new Error(`the metadata have no storage ${pallet}.${item}`);
    return (await query(...keys)).toJSON() as T;
  }

  /** Signs, sends, and waits until the transaction is final; fails with the chain's own error. */
  submit(transaction: Transaction, from: AddressOrPair, signer?: Signer): Promise<ISubmittableResult> {
    return this.#send(transaction, from, (result) => result.isFinalized, signer);
  }

  /** Signs, sends, and waits until the transaction is in a block, which needn't be one that stays: nothing may depend on it yet. */
  include(transaction: Transaction, from: AddressOrPair): Promise<ISubmittableResult> {
    return this.#send(transaction, from, (result) => result.isInBlock || result.isFinalized);
  }

  #send(
    transaction: Transaction,
    from: AddressOrPair,
    arrived: (result: ISubmittableResult) => boolean,
    signer?: Signer,
  ): Promise<ISubmittableResult> {
    return new Promise((resolve, reject) => {
      let forget: (() => void) | undefined;
      const done = (how: () => void): void => {
        forget?.();
        how();
      };
      const report = (result: ISubmittableResult): void => {
        if (result.isError) done(() => reject(new Error(`the transaction is ${result.status.type}`)));
        else if (arrived(result)) {
          const { dispatchError } = result;
          if (!dispatchError) return done(() => resolve(result));
          const why = dispatchError.isModule
            ? this.api.registry.findMetaError(dispatchError.asModule)
            : undefined;
          const text = why ? `${why.section}.${why.name}` : dispatchError.toString();
          done(() => reject(new DispatchError(text)));
        }
      };
      transaction
        .signAndSend(from, { nonce: -1, ...(signer ? { signer } : {}) }, report)
        .then((unsubscribe) => (forget = unsubscribe), reject);
    });
  }

  close(): Promise<void> {
    return this.api.disconnect();
  }
}
