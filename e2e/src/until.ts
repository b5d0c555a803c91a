import { setTimeout as delay } from "node:timers/promises";

/**
 * How much longer than said is waited. Times are those of a machine with nothing else to do; on one that is slow or shared everything takes longer, and
 * how fast it is, is no promise of these tests.
 */
export const PATIENCE = 3;

/** Asks again and again until there is an answer that is not undefined, null or false; fails with `what` and the last error after `ms`, times PATIENCE. */
export async function until<T>(
  what: string,
  ms: number,
  ask: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  every = 400,
): Promise<T> {
  const deadline = Date.now() + ms * PATIENCE;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const reason = last instanceof Error ? `: ${last.message}` : "";
      throw new Error(`not within ${Math.round((ms * PATIENCE) / 1000)} s: ${what}${reason}`, {
        cause: last,
      });
    }
    await delay(every);
  }
}
