/** A Wasm module without its names, which nothing needs at run time; what is compressed is left as it is. */
export function withoutNames(module: Buffer): Buffer {
  if (module.toString("latin1", 0, 4) !== "\0asm") return module;
  const kept = [module.subarray(0, 8)];
  let at = 8;
  while (at < module.length) {
    const size = leb128(module, at + 1);
    const end = size.end + size.value;
    if (module[at] !== 0 || !isNames(module, size.end)) kept.push(module.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

function isNames(module: Buffer, at: number): boolean {
  const length = leb128(module, at);
  return module.toString("utf8", length.end, length.end + length.value) === "name";
}

function leb128(bytes: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  for (let shift = 0, end = at; ; shift += 7) {
    const byte = bytes.readUInt8(end++);
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, end };
  }
}
