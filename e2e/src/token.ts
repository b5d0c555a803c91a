import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Ready } from "./network.js";

/** Claims to put into an access token, over good ones. */
export interface Claims {
  identity?: string;
  room?: string;
  join?: boolean;
  publish?: boolean;
  subscribe?: boolean;
  admin?: boolean;
  name?: string;
  /** Seconds from now. */
  expiresIn?: number;
  /** Seconds from now. */
  notBefore?: number;
}

/** An application's key. */
export interface App {
  key: string;
  secret: Buffer;
}

/** The network's demo application. The file may hold the secret as text or as hex; the orchestrator takes its bytes as they are. */
export function demoApp(ready: Ready): App {
  const app = ready.apps[0];
  if (!app) throw new Error("the network has no application");
  return { key: app.key, secret: Buffer.from(readFileSync(app.secretFile, "utf8").trim()) };
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs a token (RFC 7519, HS256), without the project's own code. */
export function token(app: App, claims: Claims = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const head = part({ alg: "HS256", typ: "JWT", kid: app.key });
  const body = part({
    iss: app.key,
    sub: claims.identity ?? "somebody",
    nbf: now + (claims.notBefore ?? -10),
    exp: now + (claims.expiresIn ?? 3_600),
    chroom: {
      room: claims.room ?? "refusals",
      join: claims.join ?? true,
      publish: claims.publish ?? true,
      subscribe: claims.subscribe ?? true,
      admin: claims.admin ?? false,
      name: claims.name ?? "Somebody",
    },
  });
  const signature = createHmac("sha256", app.secret).update(`${head}.${body}`).digest("base64url");
  return `${head}.${body}.${signature}`;
}
