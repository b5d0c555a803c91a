import {
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  scryptSync,
  sign,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hex } from "./chain.js";

/*
 * A node's identity, from its keystore, without the project's own code: the secret of an Ethereum keystore V3, and the
 * certificate that libp2p's TLS specification describes (https://github.com/libp2p/specs/blob/master/tls/tls.md).
 */

interface Keystore {
  crypto: {
    ciphertext: string;
    cipherparams: { iv: string };
    mac: string;
    kdf: string;
    kdfparams: { n: number; r: number; p: number; dklen: number; salt: string };
  };
}

/** The secret in a keystore file. */
export function openKeystore(file: string, passphraseFile: string): Buffer {
  const { crypto } = JSON.parse(readFileSync(file, "utf8")) as Keystore;
  const passphrase = readFileSync(passphraseFile, "utf8").replace(/\r?\n$/, "");
  const { n, r, p, dklen, salt } = crypto.kdfparams;
  const key = scryptSync(passphrase, Buffer.from(salt, "hex"), dklen, { N: n, r, p, maxmem: 1 << 30 });
  const text = Buffer.from(crypto.ciphertext, "hex");
  const mac = Buffer.from(keccak_256(Buffer.concat([key.subarray(16, 32), text]))).toString("hex");
  if (mac !== crypto.mac) throw new Error(`wrong passphrase for ${file}`);
  const decipher = createDecipheriv(
    "aes-128-ctr",
    key.subarray(0, 16),
    Buffer.from(crypto.cipherparams.iv, "hex"),
  );
  return Buffer.concat([decipher.update(text), decipher.final()]);
}

/** A certificate and its key, as TLS wants them. */
export interface TlsIdentity {
  node: string;
  cert: string;
  key: string;
}

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? Buffer.of(body.length)
      : body.length < 256
        ? Buffer.of(0x81, body.length)
        : Buffer.of(0x82, body.length >> 8, body.length & 0xff);
  return Buffer.concat([Buffer.of(tag), length, body]);
}

const SEQUENCE = 0x30;
const oid = (bytes: number[]): Buffer => der(0x06, Buffer.from(bytes));
/** 1.3.6.1.4.1.53594.1.1 */
const EXTENSION = oid([0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xa2, 0x5a, 0x01, 0x01]);
/** ecdsa-with-SHA256 */
const ECDSA = der(SEQUENCE, oid([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));

/** Makes the TLS identity of a node's secret. */
export function tlsIdentity(secret: Buffer = randomBytes(32)): TlsIdentity {
  const point = secp256k1.getPublicKey(secret, false);
  const compressed = secp256k1.getPublicKey(secret, true);
  const node = hex(keccak_256(point.subarray(1)).subarray(12));
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = createPublicKey(pair.privateKey).export({ type: "spki", format: "der" });
  // Protobuf PublicKey: type 2 (secp256k1), 33 bytes of data.
  const publicKey = Buffer.concat([Buffer.of(0x08, 0x02, 0x12, 33), compressed]);
  // The low of the two possible s: the other side takes no other.
  const vouched = secp256k1.sign(Buffer.concat([Buffer.from("libp2p-tls-handshake:"), spki]), secret, {
    format: "der",
  });
  const extension = der(SEQUENCE, der(0x04, publicKey), der(0x04, vouched));
  const name = der(SEQUENCE);
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(0x01), randomBytes(8)])),
    ECDSA,
    name,
    der(SEQUENCE, der(0x17, Buffer.from("750101000000Z")), der(0x18, Buffer.from("40960101000000Z"))),
    name,
    spki,
    der(0xa3, der(SEQUENCE, der(SEQUENCE, EXTENSION, der(0x04, extension)))),
  );
  const signature = sign("sha256", body, pair.privateKey);
  const certificate = der(SEQUENCE, body, ECDSA, der(0x03, Buffer.of(0), signature));
  const lines = certificate.toString("base64").replace(/(.{64})/g, "$1\n");
  return {
    node,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
