import type { NodeInfo, Room } from "@chroom/client";
import { h, svg } from "../../shared/dom";
import { bitRate, grade, percent, shortId, chr } from "../../shared/format";

const COLOURS = { good: "var(--good)", fair: "var(--fair)", bad: "var(--bad)", "": "var(--faint)" };
const REFRESH_MS = 5_000;

function ring(score: number | null): SVGElement {
  const share = (score ?? 0) / 100;
  const circle = 2 * Math.PI * 15.5;
  return svg(
    "svg",
    { viewBox: "0 0 36 36", class: "ring", role: "img", "aria-label": `score ${score ?? "not known yet"}` },
    svg("circle", { cx: 18, cy: 18, r: 15.5, fill: "none", stroke: "#232b3c", "stroke-width": 3 }),
    svg("circle", {
      cx: 18,
      cy: 18,
      r: 15.5,
      fill: "none",
      stroke: COLOURS[grade(score)],
      "stroke-width": 3,
      // A round end would show as a dot where there is nothing to show.
      "stroke-linecap": share > 0 ? "round" : "butt",
      "stroke-dasharray": `${circle * share} ${circle}`,
      transform: "rotate(-90 18 18)",
    }),
    svg("text", { x: 18, y: 16.5 }, score === null ? "–" : String(Math.round(score))),
    svg("text", { x: 18, y: 25, class: "unit" }, "score"),
  );
}

function fact(name: string, value: string, small = ""): HTMLElement {
  return h(
    "div",
    {},
    h("dt", {}, name),
    h("dd", { title: `${value} ${small}`.trim() }, value, " ", h("small", {}, small)),
  );
}

/** The panel that says which media node serves us, and what it stands and earns. */
export class ServedBy {
  #node: string | undefined;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(
    room: Room,
    private readonly element: HTMLElement,
  ) {
    room.on("node", (node) => this.#show(node));
    this.#timer = setInterval(() => {
      if (room.state === "connected") room.refreshNode().catch(() => undefined);
    }, REFRESH_MS);
    room.on("closed", () => clearInterval(this.#timer));
  }

  #show(node: NodeInfo): void {
    if (this.#node !== undefined && this.#node !== node.id) {
      this.element.classList.remove("flash");
      // Reading the layout makes the animation start again.
      this.element.getBoundingClientRect();
      this.element.classList.add("flash");
    }
    this.#node = node.id;
    this.element.dataset.node = node.id;
    const { load } = node;
    const meter = h("div", { class: "meter" }, h("i", { style: `--value: ${Math.min(1, load.cpu)}` }));
    meter.classList.toggle("hot", load.cpu > 0.8);
    const head = h("h2", {}, "Served by");
    if (/^https?:\/\//.test(node.publicUrl)) {
      head.append(
        h(
          "a",
          { class: "pill good", href: `${node.publicUrl}/v1/status`, target: "_blank", rel: "noreferrer" },
          "status",
        ),
      );
    }
    this.element.replaceChildren(
      head,
      h(
        "div",
        { class: "node-head" },
        ring(node.score),
        h(
          "div",
          {},
          h("strong", { class: "mono", title: node.id }, shortId(node.id)),
          h("small", {}, `${node.region} · ${node.version}`),
        ),
      ),
      h(
        "dl",
        { class: "facts" },
        fact("Stake", chr(node.stake)),
        fact(
          "Last reward",
          node.lastReward ? chr(node.lastReward.amount) : "none yet",
          node.lastReward ? `epoch ${node.lastReward.epoch}` : "",
        ),
        fact("Sessions", String(load.sessions), `in ${load.rooms} ${load.rooms === 1 ? "room" : "rooms"}`),
        fact("Cell", node.cell),
      ),
      h(
        "div",
        { class: "load" },
        h(
          "p",
          {},
          h("span", {}, `CPU ${percent(load.cpu)}`),
          h("span", {}, `${bitRate(load.egressKbps)} out`),
        ),
        meter,
      ),
    );
  }
}
