import { bytesField, bytesOf, call, fields, numberOf, STATUS } from "./grpc.js";
import type { TlsIdentity } from "./node-identity.js";

/** A media node's figures of one session; see rpc/proto/chroom/v1/media.proto. */
export interface SessionStats {
  /** 32 hex digits. */
  session: string;
  participant: string;
  sentPackets: number;
  receivedPackets: number;
  /** Towards the client, parts per 10,000. */
  loss: number;
}

/** Asks a media node for the figures of all its sessions, as one of its orchestrators. */
export async function sessionStats(endpoint: string, orchestrator: TlsIdentity): Promise<SessionStats[]> {
  const answer = await call(
    endpoint,
    "/chroom.v1.Media/Stats",
    bytesField(1, new Uint8Array()),
    orchestrator,
  );
  if (answer.status !== STATUS.ok) throw new Error(`the media node refuses its figures: ${answer.message}`);
  return fields(answer.body).flatMap(({ number, value }) => {
    if (number !== 6 || typeof value === "number") return [];
    return [
      {
        session: (bytesOf(value, 1) ?? Buffer.alloc(0)).toString("hex"),
        participant: (bytesOf(value, 3) ?? Buffer.alloc(0)).toString(),
        sentPackets: numberOf(value, 5),
        receivedPackets: numberOf(value, 7),
        loss: numberOf(value, 9),
      },
    ];
  });
}

/** What a media node logs of a session when it ends; see docs/media-node.md. */
export interface LastStats {
  sentPackets: number;
}

/** The last figures of the sessions that a media node closed, by session id, out of its log. */
export function lastStats(log: string): Map<string, LastStats> {
  const closed = new Map<string, LastStats>();
  for (const line of log.split("\n")) {
    const found = /session closed session=([0-9a-f-]+) .*sent_packets=(\d+)/.exec(line);
    if (found?.[1] && found[2]) closed.set(found[1].replaceAll("-", ""), { sentPackets: Number(found[2]) });
  }
  return closed;
}
