import type { Plugin } from "vite";

const BLOCK_MS = 6_000;
const EPOCH_BLOCKS = 8;

const PLACES = [
  ["eu-central", "831f8dfffffffff", 52.5, 13.4, "media"],
  ["eu-central", "831fa8fffffffff", 50.1, 8.7, "registry"],
  ["eu-west", "83194efffffffff", 51.5, -0.1, "media"],
  ["us-east", "832a10fffffffff", 40.7, -74.0, "media"],
  ["us-east", "832aaafffffffff", 38.9, -77.0, "registry"],
  ["us-west", "832836fffffffff", 37.8, -122.4, "media"],
  ["ap-south", "83658dfffffffff", 1.35, 103.8, "media"],
  ["ap-south", "83618cfffffffff", 12.97, 77.6, "registry"],
  ["eu-central", "831f8dfffffffff", 52.4, 13.0, "orchestrator"],
  ["sa-east", "83a810fffffffff", -23.5, -46.6, "media"],
] as const;

function network(): object {
  const now = Date.now();
  const length = BLOCK_MS * EPOCH_BLOCKS;
  const current = Math.floor(now / length) % 1000;
  return {
    epoch: { current, startedMs: now - (now % length), length: EPOCH_BLOCKS },
    snapshot: { epoch: current - 1, root: `0x${"a3f1".repeat(16)}`, leaves: PLACES.length, votes: 3 },
    nodes: PLACES.map(([region, cell, lat, lon, role], index) => ({
      id: `0x${(index + 17).toString(16).padStart(2, "0").repeat(20)}`,
      role,
      region,
      cell,
      lat,
      lon,
      status: index === 5 ? "draining" : "active",
      score: role === "media" ? [98, 96, 91, 62, 84, 88, 97, 35, 99, 79][index] : null,
      stake: role === "media" ? "2500000000000000" : "500000000000000",
      lastReward: role === "media" ? { epoch: current - 1, amount: "12480031000000" } : null,
      load: {
        cpu: role === "media" ? 0.1 + ((index * 37 + now / 4000) % 75) / 100 : 0.03,
        sessions: role === "media" ? (index * 7) % 40 : 0,
        rooms: role === "media" ? (index * 3) % 9 : 0,
        egressKbps: role === "media" ? index * 17_300 : 0,
      },
      version: "0.1.0",
      publicUrl: `http://127.0.0.1:${7600 + index}`,
    })),
  };
}

/** Answers `/token` and `/network` in the development server: made-up figures for work on the pages' looks. */
export function mockBackEnd(): Plugin {
  return {
    name: "chroom-mock-back-end",
    apply: "serve",
    configureServer(server) {
      server.middlewares.use("/network", (_request, response) => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(network()));
      });
      server.middlewares.use("/token", (request, response) => {
        let body = "";
        request.on("data", (chunk: Buffer) => (body += chunk.toString()));
        request.on("end", () => {
          const { name } = JSON.parse(body) as { name: string };
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify({ token: name, url: "mock" }));
        });
      });
    },
  };
}
