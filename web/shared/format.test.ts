import { expect, test } from "vitest";
import { bitRate, chr, duration, shortId } from "./format";

test("amounts in the smallest unit become CHR", () => {
  expect(chr("0")).toBe("0 CHR");
  expect(chr("1000000000000")).toBe("1 CHR");
  expect(chr("1234567500000000000")).toBe("1\u202f234\u202f567.5 CHR");
  expect(chr("12480031000000")).toBe("12.48 CHR");
  expect(chr("99999")).toBe("0 CHR");
});

test("times, rates and ids are short", () => {
  expect(duration(3_725_000)).toBe("1:02:05");
  expect(duration(-5)).toBe("00:00");
  expect(bitRate(999)).toBe("999 kb/s");
  expect(bitRate(1_500)).toBe("1.5 Mb/s");
  expect(shortId("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf")).toBe("0x7e5f45…5bdf");
});
