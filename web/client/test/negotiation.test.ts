import { expect, test } from "vitest";
import { NegotiationQueue } from "../src/negotiation";

function controlled() {
  const runs: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let active = 0;
  let most = 0;
  const queue = new NegotiationQueue(async () => {
    active += 1;
    most = Math.max(most, active);
    try {
      await new Promise<void>((resolve, reject) => runs.push({ resolve, reject }));
    } finally {
      active -= 1;
    }
  });
  return { queue, runs, most: () => most };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

test("requests of one turn share a run", async () => {
  const { queue, runs } = controlled();
  const all = [queue.request(), queue.request(), queue.request()];
  await turn();
  expect(runs).toHaveLength(1);
  runs[0]!.resolve();
  await Promise.all(all);
});

test("runs never overlap, and requests during a run are answered by one that begins after it", async () => {
  const { queue, runs, most } = controlled();
  const first = queue.request();
  await turn();
  let later = 0;
  const waiting = [queue.request(), queue.request()].map((request) => request.then(() => (later += 1)));
  await turn();
  expect(runs).toHaveLength(1);
  runs[0]!.resolve();
  await first;
  await turn();
  expect(later).toBe(0);
  expect(runs).toHaveLength(2);
  runs[1]!.resolve();
  await Promise.all(waiting);
  expect(most()).toBe(1);
});

test("a failed run rejects its own requests only", async () => {
  const { queue, runs } = controlled();
  const first = queue.request();
  await turn();
  const second = queue.request();
  runs[0]!.reject(new Error("no"));
  await expect(first).rejects.toThrow("no");
  await turn();
  runs[1]!.resolve();
  await expect(second).resolves.toBeUndefined();
});
