import { createServer } from "node:net";

function free(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Ports that a local network takes, from its base port on; see `chroom up --help`. */
const SPAN = 98;
/** The first base port that is tried, and how many. */
const FIRST = 21_400;
const TRIES = 60;

/** A base port whose whole range is free, so that several suites may run on one machine. */
export async function basePort(): Promise<number> {
  const given = process.env.CHROOM_E2E_PORT;
  if (given !== undefined) return Number(given);
  // Where to begin to look differs from process to process.
  const start = process.pid % TRIES;
  for (let step = 0; step < TRIES; step += 1) {
    const base = FIRST + ((start + step) % TRIES) * (SPAN + 2);
    const ports = Array.from({ length: SPAN }, (_, index) => base + index);
    if ((await Promise.all(ports.map(free))).every(Boolean)) return base;
  }
  throw new Error(`no ${SPAN} free ports in a row from ${FIRST} on; name a base port in CHROOM_E2E_PORT`);
}

/** Any free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
