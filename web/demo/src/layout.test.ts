import { expect, test } from "vitest";
import { fit, focus } from "./layout";

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

test("a pinned tile is the largest, and nothing exceeds the stage", () => {
  for (let others = 1; others <= 30; others += 1) {
    for (const [width, height] of [
      [1200, 700],
      [390, 700],
      [1000, 400],
    ] as const) {
      const { main, side, beside } = focus(others, width, height, 12);
      const rows = Math.ceil(others / side.columns);
      const strip = {
        width: side.width * side.columns + 12 * (side.columns - 1),
        height: side.height * rows + 12 * (rows - 1),
      };
      expect(side.width).toBeGreaterThan(0);
      expect(main.width).toBeGreaterThan(side.width);
      expect(beside ? main.width + 12 + strip.width : Math.max(main.width, strip.width)).toBeLessThanOrEqual(
        width,
      );
      expect(
        beside ? Math.max(main.height, strip.height) : main.height + 12 + strip.height,
      ).toBeLessThanOrEqual(height);
    }
  }
});

test("the others go where they cost the pinned one less, and alone it has the stage", () => {
  expect(focus(3, 1600, 700, 10).beside).toBe(true);
  expect(focus(3, 390, 700, 10).beside).toBe(false);
  expect(focus(0, 1600, 900, 10).main).toMatchObject({ width: 1600, height: 900 });
});
