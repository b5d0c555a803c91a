import { svg } from "../../shared/dom";
import { grade, shortId } from "../../shared/format";
import { isLand } from "./land";
import type { NetworkNode } from "./network";

/** Latitudes that are shown: nothing is served from the poles. */
const TOP = 78;
const BOTTOM = -56;
const STEP = 2.5;
const COLOURS = { good: "var(--good)", fair: "var(--fair)", bad: "var(--bad)", "": "#8fa0c4" };

const x = (longitude: number) => longitude + 180;
const y = (latitude: number) => TOP - latitude;

type Placed = NetworkNode & { lat: number; lon: number };

/** A map of the world in equirectangular projection, one unit a degree. */
export class WorldMap {
  readonly #nodes = svg("g");
  #drawn = "";

  constructor(element: HTMLElement) {
    const height = TOP - BOTTOM;
    const graticule = svg("g", { class: "graticule" });
    for (let longitude = -150; longitude <= 150; longitude += 30) {
      graticule.append(svg("line", { x1: x(longitude), x2: x(longitude), y1: 0, y2: height }));
    }
    for (let latitude = 60; latitude > BOTTOM; latitude -= 30) {
      graticule.append(svg("line", { x1: 0, x2: 360, y1: y(latitude), y2: y(latitude) }));
    }
    const land = svg("g", { class: "land" });
    for (let latitude = TOP - STEP / 2; latitude > BOTTOM; latitude -= STEP) {
      for (let longitude = -180 + STEP / 2; longitude < 180; longitude += STEP) {
        if (isLand(longitude, latitude))
          land.append(svg("circle", { cx: x(longitude), cy: y(latitude), r: 0.72 }));
      }
    }
    element.replaceChildren(
      svg(
        "svg",
        { viewBox: `0 0 360 ${height}`, role: "img", "aria-label": "Nodes on a map of the world" },
        graticule,
        land,
        this.#nodes,
      ),
    );
  }

  /** Puts the nodes on the map; those of one place side by side. */
  show(nodes: NetworkNode[]): void {
    const drawn = JSON.stringify(
      nodes.map(({ id, lat, lon, score, status, online }) => [id, lat, lon, score, status, online]),
    );
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const places = new Map<string, Placed[]>();
    for (const node of nodes) {
      if (node.lat === null || node.lon === null) continue;
      const key = `${Math.round(node.lat / 4)}/${Math.round(node.lon / 4)}`;
      const placed = { ...node, lat: node.lat, lon: node.lon };
      places.set(key, [...(places.get(key) ?? []), placed]);
    }
    const marks: SVGElement[] = [];
    const labelled = new Set<string>();
    for (const place of places.values()) {
      place.forEach((node, index) => {
        // A sunflower: the first in the middle, the others around it.
        const angle = index * 2.4;
        const away = index === 0 ? 0 : 1.5 + 2 * Math.sqrt(index);
        marks.push(mark(node, x(node.lon) + away * Math.cos(angle), y(node.lat) + away * Math.sin(angle)));
      });
      const first = place[0];
      if (first && first.region !== "" && !labelled.has(first.region)) {
        labelled.add(first.region);
        const below = place.length === 1 ? 7.2 : 9 + 2 * Math.sqrt(place.length);
        marks.push(
          svg("text", { class: "region-label", x: x(first.lon), y: y(first.lat) + below }, first.region),
        );
      }
    }
    this.#nodes.replaceChildren(...marks);
  }
}

function mark(node: NetworkNode, cx: number, cy: number): SVGElement {
  const active = node.status.toLowerCase() === "active" && node.online !== false;
  const group = svg("g", {
    class: "node",
    style: `--colour: ${active ? COLOURS[grade(node.score)] : "var(--fair)"}`,
    transform: `translate(${cx} ${cy})`,
  });
  group.append(
    svg("title", {}, `${node.role} ${shortId(node.id)} · ${node.status} · score ${node.score ?? "–"}`),
  );
  if (node.role === "media") {
    if (active) group.append(svg("circle", { class: "pulse", r: 5 }));
    group.append(svg("circle", { class: "halo", r: 4.2 }), svg("circle", { class: "core", r: 2.1 }));
  } else if (node.role === "orchestrator") {
    group.append(svg("rect", { x: -1.5, y: -1.5, width: 3, height: 3, transform: "rotate(45)" }));
  } else {
    group.append(svg("rect", { x: -1.4, y: -1.4, width: 2.8, height: 2.8, rx: 0.5 }));
  }
  return group;
}
