import { expect, test } from "vitest";
import { byRegion, progress, type NetworkNode } from "./network";

const node = (id: string, role: string, region: string): NetworkNode => ({
  id,
  role,
  region,
  cell: "",
  lat: 0,
  lon: 0,
  status: "active",
  score: null,
  stake: "0",
  lastReward: null,
  load: { cpu: 0, sessions: 0, rooms: 0, egressKbps: 0 },
  version: "",
  publicUrl: "",
});

test("an epoch's progress stays between its ends, whatever the clocks say", () => {
  const epoch = { current: 3, startedMs: 1_000, length: 8 };
  expect(progress(epoch, 1_000)).toEqual({ share: 0, leftMs: 48_000 });
  expect(progress(epoch, 25_000)).toEqual({ share: 0.5, leftMs: 24_000 });
  expect(progress(epoch, 0).share).toBe(0);
  expect(progress(epoch, 999_999)).toEqual({ share: 1, leftMs: 0 });
});

test("nodes are grouped by region with media nodes first", () => {
  const groups = byRegion([
    node("b", "registry", "x"),
    node("c", "media", "x"),
    node("a", "media", "w"),
    node("d", "media", ""),
  ]);
  expect(groups.map(([region, nodes]) => [region, nodes.map(({ id }) => id)])).toEqual([
    ["no region", ["d"]],
    ["w", ["a"]],
    ["x", ["c", "b"]],
  ]);
});
