import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";

const WIDTH = 640;
const HEIGHT = 360;
const RATE = 15;
const FRAMES = 30;
const BAR = 96;

/** Which way the bright bar moves: so that one can tell whose picture it is. */
export type Motion = "sideways" | "down";

/** Writes a Y4M file of two seconds: a bright bar that moves over a dark ground, in a loop. */
export function writePicture(path: string, motion: Motion): void {
  const file = openSync(path, "w");
  writeSync(file, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${RATE}:1 Ip A1:1 C420jpeg\n`);
  const chroma = Buffer.alloc((WIDTH / 2) * (HEIGHT / 2), 128);
  for (let frame = 0; frame < FRAMES; frame += 1) {
    const luma = Buffer.alloc(WIDTH * HEIGHT, 40);
    const span = motion === "sideways" ? WIDTH : HEIGHT;
    const start = Math.floor((frame / FRAMES) * span);
    for (let offset = 0; offset < BAR; offset += 1) {
      const at = (start + offset) % span;
      if (motion === "down") luma.fill(220, at * WIDTH, (at + 1) * WIDTH);
      else for (let row = 0; row < HEIGHT; row += 1) luma[row * WIDTH + at] = 220;
    }
    writeSync(file, "FRAME\n");
    writeSync(file, luma);
    writeSync(file, chroma);
    writeSync(file, chroma);
  }
  closeSync(file);
}

/** Writes a WAV file of two seconds with a tone that sounds and pauses, like syllables. */
export function writeTone(path: string, hertz: number): void {
  const rate = 48_000;
  const samples = Buffer.alloc(rate * 2 * 2);
  for (let index = 0; index < rate * 2; index += 1) {
    const loudness = 0.35 + 0.25 * Math.sin((2 * Math.PI * 4 * index) / rate);
    samples.writeInt16LE(
      Math.round(Math.sin((2 * Math.PI * hertz * index) / rate) * loudness * 32_000),
      index * 2,
    );
  }
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.length, 40);
  writeFileSync(path, Buffer.concat([head, samples]));
}
