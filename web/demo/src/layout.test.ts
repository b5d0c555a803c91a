import { expect, test } from "vitest";
import { fit } from "./layout";

test("one tile fills the stage as far as 16:9 allows", () => {
  expect(fit(1, 1600, 900, 10)).toEqual({ columns: 1, width: 1600, height: 900 });
  expect(fit(1, 1600, 450, 10)).toMatchObject({ columns: 1, height: 450 });
});

test("tiles never exceed the stage, whatever their number", () => {
  for (let count = 1; count <= 30; count += 1) {
    for (const [width, height] of [
      [1200, 700],
      [390, 700],
      [1000, 200],
    ] as const) {
      const { columns, width: w, height: h } = fit(count, width, height, 12);
      const rows = Math.ceil(count / columns);
      expect(w).toBeGreaterThan(0);
      expect(w * columns + 12 * (columns - 1)).toBeLessThanOrEqual(width);
      expect(h * rows + 12 * (rows - 1)).toBeLessThanOrEqual(height);
    }
  }
});

test("a narrow stage stacks two tiles, a wide one puts them side by side", () => {
  expect(fit(2, 390, 700, 10).columns).toBe(1);
  expect(fit(2, 1200, 500, 10).columns).toBe(2);
});
