/** Size of each of `count` tiles of 16:9 that together use a stage best, and how many stand in a row. */
export function fit(
  count: number,
  width: number,
  height: number,
  gap: number,
): { columns: number; width: number; height: number } {
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const widest = (width - gap * (columns - 1)) / columns;
    const highest = (height - gap * (rows - 1)) / rows;
    const tile = Math.min(widest, (highest * 16) / 9);
    if (tile > best.width) best = { columns, width: Math.floor(tile), height: Math.floor((tile * 9) / 16) };
  }
  return best;
}

/** Where tiles go while one of them is pinned. */
export interface Focus {
  /** Size of the pinned tile. */
  main: { width: number; height: number };
  /** Size of each of the others, and how many stand in a row. */
  side: { columns: number; width: number; height: number };
  /** Whether the others are beside the pinned one, not below it. */
  beside: boolean;
}

/** Share of the stage's width or height that the others get. */
const SIDE = 0.22;

/** Sizes of tiles of 16:9 of which one is pinned: the others stand where they cost it less. */
export function focus(others: number, width: number, height: number, gap: number): Focus {
  const rest = others > 0 ? SIDE : 0;
  const space = others > 0 ? gap : 0;
  const right = Math.floor(width * rest);
  const below = Math.floor(height * rest);
  const wide = fit(1, width - right - space, height, gap);
  const tall = fit(1, width, height - below - space, gap);
  const beside = wide.width >= tall.width;
  const side = beside ? fit(others, right, height, gap) : fit(others, width, below, gap);
  return { main: beside ? wide : tall, side, beside };
}
