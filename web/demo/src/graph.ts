import type { Quality, Room } from "@chroom/client";
import { h } from "../../shared/dom";
import { bitRate, percent } from "../../shared/format";

/** Seconds that are shown. */
const SPAN = 60;

interface Series {
  name: string;
  colour: string;
  value: (quality: Quality) => number;
  text: (value: number) => string;
  bars?: boolean;
}

interface Chart {
  /** The scale never ends below this. */
  least: number;
  series: Series[];
}

const CHARTS: Chart[] = [
  {
    least: 200,
    series: [
      { name: "in", colour: "#2ee6c5", value: (q) => q.rxKbps, text: bitRate },
      { name: "out", colour: "#7c9cff", value: (q) => q.txKbps, text: bitRate },
    ],
  },
  {
    least: 0.02,
    series: [
      { name: "loss", colour: "#ff5d73", value: (q) => q.rxLoss, text: (v) => percent(v, 1), bars: true },
    ],
  },
  {
    least: 40,
    series: [
      { name: "round trip", colour: "#ffc857", value: (q) => q.rttMs, text: (v) => `${Math.round(v)} ms` },
      { name: "jitter", colour: "#b58cff", value: (q) => q.jitterMs, text: (v) => `${Math.round(v)} ms` },
    ],
  },
];

/** The live quality graph: bit rate, loss, delay over the last minute. */
export class Graph {
  readonly #history: Quality[] = [];
  readonly #views: { chart: Chart; canvas: HTMLCanvasElement; values: HTMLElement[] }[] = [];

  constructor(room: Room, element: HTMLElement) {
    element.replaceChildren(h("h2", {}, "Quality", h("span", { class: "mono" }, "60 s")));
    for (const chart of CHARTS) {
      const values = chart.series.map(() => h("b", {}, "–"));
      const canvas = h("canvas", { "aria-hidden": "true" });
      const legend = h(
        "span",
        {},
        ...chart.series.map((one) => h("i", { style: `--series: ${one.colour}` }, one.name)),
      );
      const figures = h(
        "span",
        {},
        ...values.flatMap((value, index) => (index === 0 ? [value] : [" · ", value])),
      );
      element.append(h("div", { class: "chart" }, h("p", {}, legend, figures), canvas));
      this.#views.push({ chart, canvas, values });
    }
    room.on("quality", (quality) => {
      this.#history.push(quality);
      if (this.#history.length > SPAN) this.#history.shift();
      this.#draw();
    });
  }

  #draw(): void {
    const last = this.#history.at(-1);
    if (!last) return;
    for (const { chart, canvas, values } of this.#views) {
      chart.series.forEach((series, index) => {
        const value = values[index];
        if (value) value.textContent = series.text(series.value(last));
      });
      const scale = devicePixelRatio;
      const width = canvas.clientWidth * scale;
      const height = canvas.clientHeight * scale;
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      if (!context || width === 0) continue;
      context.clearRect(0, 0, width, height);
      const top = Math.max(
        chart.least,
        ...chart.series.flatMap((series) => this.#history.map((quality) => series.value(quality))),
      );
      rules(context, width, height);
      for (const series of chart.series) {
        const points = this.#history.map((quality, index) => ({
          x: width - ((this.#history.length - 1 - index) * width) / (SPAN - 1),
          y: height - 2 * scale - (series.value(quality) / (top * 1.15)) * (height - 4 * scale),
        }));
        if (series.bars) bars(context, points, width / SPAN, height, series.colour);
        else line(context, points, height, series.colour, scale);
      }
    }
  }
}

function rules(context: CanvasRenderingContext2D, width: number, height: number): void {
  context.strokeStyle = "rgb(255 255 255 / 6%)";
  context.lineWidth = 1;
  for (const share of [1 / 3, 2 / 3]) {
    const y = Math.round(height * share) + 0.5;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
  }
}

function line(
  context: CanvasRenderingContext2D,
  points: { x: number; y: number }[],
  height: number,
  colour: string,
  scale: number,
): void {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return;
  context.beginPath();
  for (const { x, y } of points) context.lineTo(x, y);
  context.strokeStyle = colour;
  context.lineWidth = 1.6 * scale;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(last.x, height);
  context.lineTo(first.x, height);
  context.closePath();
  const fill = context.createLinearGradient(0, 0, 0, height);
  fill.addColorStop(0, `${colour}55`);
  fill.addColorStop(1, `${colour}00`);
  context.fillStyle = fill;
  context.fill();
}

function bars(
  context: CanvasRenderingContext2D,
  points: { x: number; y: number }[],
  step: number,
  height: number,
  colour: string,
): void {
  context.fillStyle = colour;
  for (const { x, y } of points) if (y < height - 4) context.fillRect(x - step, y, step * 0.7, height - y);
}
