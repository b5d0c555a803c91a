import { join } from "node:path";
import type { Network } from "./network.js";
import { openKeystore, tlsIdentity, type TlsIdentity } from "./node-identity.js";

const known = new Map<string, TlsIdentity>();

/** The TLS identity of one of the network's nodes: the tests hold all the keys. */
export function nodeIdentity(network: Network, name: string): TlsIdentity {
  let identity = known.get(name);
  if (!identity) {
    const folder = join(network.data, name);
    identity = tlsIdentity(openKeystore(join(folder, "wallet.json"), join(folder, "passphrase")));
    known.set(name, identity);
  }
  return identity;
}
