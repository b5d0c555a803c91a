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
