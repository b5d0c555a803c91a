import { byId, h } from "../../shared/dom";
import { bitRate, duration, grade, percent, shortId, chr } from "../../shared/format";
import { WorldMap } from "./map";
import { byRegion, load, progress, type Network, type NetworkNode } from "./network";

const REFRESH_MS = 2_000;
const ROLES = ["all", "media", "registry", "orchestrator"];

const map = new WorldMap(byId("map"));
let network: Network | undefined;
let role = "all";

function figure(title: string, value: string, small: string): HTMLElement {
  return h(
    "div",
    { class: "figure" },
    h("h3", {}, title),
    h("strong", {}, value),
    h("small", { title: small }, small),
  );
}

function glance({ epoch, snapshot, nodes }: Network): HTMLElement[] {
  const { share, leftMs } = progress(epoch, Date.now());
  const active = nodes.filter((node) => node.status.toLowerCase() === "active");
  const sum = (of: (node: NetworkNode) => number) => nodes.reduce((total, node) => total + of(node), 0);
  const scores = nodes.flatMap(({ score }) => (score === null ? [] : [score]));
  const mean = scores.length === 0 ? "–" : (scores.reduce((a, b) => a + b, 0) / scores.length).toFixed(1);
  return [
    h(
      "div",
      { class: "figure epoch" },
      h("h3", {}, "Quality epoch"),
      h(
        "div",
        {},
        h("strong", {}, String(epoch.current)),
        h("span", { class: "mono" }, `${duration(leftMs)} left`),
      ),
      h("div", { class: "meter" }, h("i", { style: `--value: ${share}` })),
      snapshot
        ? h(
            "small",
            { title: snapshot.root },
            `register of epoch ${snapshot.epoch} final: ${shortId(snapshot.root)}, ${snapshot.votes} votes`,
          )
        : h("small", {}, "no register is final yet"),
    ),
    figure("Nodes active", `${active.length}`, `of ${nodes.length} registered`),
    figure(
      "Sessions",
      String(sum((node) => node.load?.sessions ?? 0)),
      `in ${sum((node) => node.load?.rooms ?? 0)} rooms`,
    ),
    figure("Media out", bitRate(sum((node) => node.load?.egressKbps ?? 0)), "all media nodes together"),
    figure("Mean score", mean, `${scores.length} media nodes scored`),
  ];
}

function card(node: NetworkNode): HTMLElement {
  const status = node.status.toLowerCase();
  const report = node.load ?? { cpu: 0, sessions: 0, rooms: 0, egressKbps: 0 };
  const shown = status === "active" && node.online === false ? "offline" : status;
  const tone = shown === "active" ? "good" : shown === "draining" || shown === "unbonding" ? "fair" : "bad";
  const cpu = h("div", { class: "meter" }, h("i", { style: `--value: ${Math.min(1, report.cpu)}` }));
  cpu.classList.toggle("hot", report.cpu > 0.8);
  const fact = (name: string, value: string, title = value) =>
    h("div", {}, h("dt", {}, name), h("dd", { title }, value));
  return h(
    "article",
    { class: "card", "data-node": node.id, "data-status": shown },
    h(
      "header",
      {},
      h(
        "div",
        {},
        h("strong", { class: "mono", title: node.id }, shortId(node.id)),
        h("small", {}, [node.role, node.version].filter((text) => text !== "").join(" · ")),
      ),
      h("span", { class: `pill ${tone}` }, shown),
    ),
    node.role === "media" &&
      h(
        "div",
        { class: "bars" },
        h("span", {}, "Score"),
        h(
          "div",
          { class: `meter ${grade(node.score)}` },
          h("i", { style: `--value: ${(node.score ?? 0) / 100}` }),
        ),
        h("b", {}, node.score === null ? "–" : node.score.toFixed(1)),
        h("span", {}, "CPU"),
        cpu,
        h("b", {}, percent(report.cpu)),
      ),
    node.role !== "media" && h("div", { class: "bars" }),
    h(
      "dl",
      { class: "facts" },
      fact("Stake", chr(node.stake)),
      ...(node.role === "media"
        ? [
            fact(
              "Sessions",
              `${report.sessions} / ${report.rooms}`,
              `${report.sessions} sessions in ${report.rooms} rooms`,
            ),
            fact("Out", bitRate(report.egressKbps)),
          ]
        : []),
      fact(
        "Last reward",
        node.lastReward ? chr(node.lastReward.amount) : "none yet",
        node.lastReward ? `epoch ${node.lastReward.epoch}` : "",
      ),
      fact("Cell", node.cell.replace(/f+$/, "…"), node.cell),
    ),
  );
}

function regions({ nodes }: Network): HTMLElement[] {
  const shown = nodes.filter((node) => role === "all" || node.role === role);
  if (shown.length === 0) return [h("p", { class: "empty" }, "No such node is registered.")];
  return byRegion(shown).map(([region, list]) =>
    h(
      "section",
      { class: "region", "data-region": region },
      h("h3", {}, region, h("small", {}, `${list.length} ${list.length === 1 ? "node" : "nodes"}`)),
      h("div", { class: "cards" }, ...list.map(card)),
    ),
  );
}

function render(): void {
  byId("filters").replaceChildren(
    ...ROLES.map((name) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": name === role ? "true" : "false",
          onclick: () => {
            role = name;
            render();
          },
        },
        name,
      ),
    ),
  );
  if (!network) return;
  byId("figures").replaceChildren(...glance(network));
  byId("regions").replaceChildren(...regions(network));
  map.show(network.nodes);
}

async function refresh(): Promise<void> {
  const live = byId("live");
  try {
    network = await load();
    live.textContent = "live";
    live.className = "pill good";
    live.title = "";
    render();
  } catch (error) {
    // The last state stays on the page, marked as old.
    live.textContent = network ? "not updated" : "unreachable";
    live.className = "pill bad";
    live.title = error instanceof Error ? error.message : String(error);
    if (!network) {
      byId("regions").replaceChildren(
        h(
          "p",
          { class: "empty" },
          "The network's state cannot be loaded. Start it with make up and open the address that it names.",
        ),
      );
    }
  } finally {
    setTimeout(() => void refresh(), REFRESH_MS);
  }
}

render();
void refresh();
