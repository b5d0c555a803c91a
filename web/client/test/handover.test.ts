import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Handover } from "../src/handover";
import type { Link } from "../src/link";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const link = (flows: () => Promise<boolean>, state = "connected", close = vi.fn()): Link =>
  ({ flows, close, media: () => undefined, pc: { connectionState: state } }) as unknown as Link;

test("one that ended tells nothing more, whatever it was waiting for", async () => {
  let answer: (flows: boolean) => void = () => undefined;
  const handlers = { taken: vi.fn(), over: vi.fn() };
  const asked = new Promise<boolean>((resolve) => (answer = resolve));
  const close = vi.fn();
  const handover = new Handover(
    link(() => Promise.resolve(true), "closed", close),
    link(() => asked),
    () => ["a"],
    handlers,
  );
  await vi.advanceTimersByTimeAsync(100);
  handover.end();
  answer(true);
  await vi.advanceTimersByTimeAsync(20_000);
  expect([handlers.taken.mock.calls.length, handlers.over.mock.calls.length]).toEqual([0, 0]);
  expect(close).toHaveBeenCalledOnce();
});
