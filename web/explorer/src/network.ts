/** What `GET /network` gives. */
export interface Network {
  epoch: { current: number; startedMs: number; length: number };
  snapshot: { epoch: number; root: string; leaves: number; votes: number } | null;
  nodes: NetworkNode[];
}

/** One registered node. */
export interface NetworkNode {
  id: string;
  role: string;
  region: string;
  cell: string;
  lat: number | null;
  lon: number | null;
  status: string;
  score: number | null;
  stake: string;
  lastReward: { epoch: number; amount: string } | null;
  /** Null while the node reports none. */
  load: { cpu: number; sessions: number; rooms: number; egressKbps: number } | null;
  /** Whether it is in the register; absent from older orchestrators. */
  online?: boolean;
  version: string;
  publicUrl: string;
}

/** Time of a block on the chain. */
const BLOCK_MS = 6_000;

/** Fetches the network's state; rejects with a text for people. */
export async function load(): Promise<Network> {
  const response = await fetch("/network", { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`the page's back end answered ${response.status}`);
  return (await response.json()) as Network;
}

/** How far the current epoch is, 0 to 1, and the milliseconds that are left of it. */
export function progress(epoch: Network["epoch"], now: number): { share: number; leftMs: number } {
  const whole = Math.max(1, epoch.length * BLOCK_MS);
  const passed = Math.min(Math.max(0, now - epoch.startedMs), whole);
  return { share: passed / whole, leftMs: whole - passed };
}

/** Nodes by region, regions by name, media nodes first, then by id. */
export function byRegion(nodes: NetworkNode[]): [string, NetworkNode[]][] {
  const regions = new Map<string, NetworkNode[]>();
  for (const node of nodes) {
    const region = node.region === "" ? "no region" : node.region;
    regions.set(region, [...(regions.get(region) ?? []), node]);
  }
  const rank = (node: NetworkNode) => (node.role === "media" ? 0 : node.role === "orchestrator" ? 1 : 2);
  for (const list of regions.values()) list.sort((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
  return [...regions].sort(([a], [b]) => a.localeCompare(b));
}
