import { setTimeout as delay } from "node:timers/promises";

/** Asks again and again until there is an answer that is not undefined, null or false; fails with `what` and the last error after `ms`. */
export async function until<T>(
  what: string,
  ms: number,
  ask: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  every = 400,
): Promise<T> {
  const deadline = Date.now() + ms;
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
      throw new Error(`not within ${Math.round(ms / 1000)} s: ${what}${reason}`, { cause: last });
    }
    await delay(every);
  }
}
