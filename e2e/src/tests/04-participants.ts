import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { track } from "../browser.js";
import type { Context } from "../context.js";
import { nodeIdentity } from "../identities.js";
import { lastStats, sessionStats } from "../media-stats.js";
import { Natives } from "../participant.js";
import { until } from "../until.js";
import { ROOM } from "./01-call.js";

const COUNT = 10;
const VIDEOS = 2;
const SNMP = "/proc/net/snmp";

/** Figures of a media node's public status, as far as they are used here. */
interface Status {
  usage?: { sessions?: number; rooms?: number };
  sessions?: number;
}

/** Datagrams that this machine's kernel dropped so far, because whoever they were for read too late (Linux; 0 elsewhere). */
function readTooLate(): number {
  if (!existsSync(SNMP)) return 0;
  const [names, values] = readFileSync(SNMP, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Udp:"))
    .map((line) => line.split(" "));
  return Number(values?.[names?.indexOf("RcvbufErrors") ?? -1] ?? 0);
}

/** Ten native participants beside the two browsers: everyone gets everyone's audio and the videos that were asked for. */
export async function participants(suite: Context, t: TestContext): Promise<void> {
  const node = suite.network.media("media-1");
  const droppedBefore = readTooLate();
  const natives = Natives.start(suite.network.ready, ROOM, {
    name: "native",
    count: COUNT,
    video: VIDEOS,
    // Those of the two browsers too, which carry no stamps.
    videos: VIDEOS + 2,
    // A third of the packets, so that a slow machine has time for all twelve.
    ptime: 60,
    seconds: 300,
  });
  suite.onEnd(async () => {
    if (natives.running) await natives.stop();
  });
  // While all twelve are there: the browsers see and hear the natives, and the node counts them.
  await until("a browser has all ten natives in its room", 45_000, async () => {
    const call = await suite.adaPage.call();
    return call.others.filter(({ identity }) => identity.startsWith("native-")).length === COUNT;
  });
  const heard = await until("both browsers get the audio of all ten", 45_000, async () => {
    const calls = await Promise.all([suite.adaPage.call(), suite.gracePage.call()]);
    const counts = calls.map(
      (call) =>
        call.others.filter(({ identity, tracks }) => {
          const sound = tracks.find(({ source }) => source === "microphone");
          return identity.startsWith("native-") && sound !== undefined && sound.kbps > 0;
        }).length,
    );
    return counts.every((count) => count === COUNT) ? counts : undefined;
  });
  const counted = await until("the media node counts all twelve sessions", 20_000, async () => {
    const status = (await (await fetch(`${node.http}/v1/status`)).json()) as Status;
    const sessions = status.usage?.sessions ?? status.sessions ?? 0;
    return sessions >= COUNT + 2 ? sessions : undefined;
  });
  // What the node says of each session, read as its orchestrator does, once everyone got so many packets that those which came before
  // it had made the tracks (a second's worth, where the machine is slow) are a small share. All leave at once, so that nobody hears of
  // the others' leaving.
  const orchestrator = nodeIdentity(suite.network, "orchestrator-1");
  const latest = await until("the node has sent everyone 10,000 packets", 120_000, async () => {
    const all = await sessionStats(node.rpc, orchestrator);
    return all.length >= COUNT + 2 && all.every(({ sentPackets }) => sentPackets >= 10_000)
      ? new Map(all.map((stats) => [stats.session, stats]))
      : undefined;
  });
  const reports = await natives.stop();
  assert.equal(reports.length, COUNT);
  const ids = new Set(reports.map(({ participant }) => participant));
  // Whose videos the natives' are, by their tracks.
  const videos = new Map(
    reports
      .flatMap(({ tracks }) => tracks)
      .filter((one) => one.kind === "video" && ids.has(one.participant))
      .map((one) => [one.track, one.participant] as const),
  );
  assert.equal(videos.size, VIDEOS, "each native's video came to somebody");
  let received = 0;
  let lost = 0;
  let withheld = 0;
  let paused = 0;
  for (const report of reports) {
    assert.equal(report.node, node.nodeId, `${report.identity} was served by the room's node`);
    const audio = report.tracks.filter(
      (one) => one.kind === "audio" && ids.has(one.participant) && one.received > 0,
    );
    assert.equal(audio.length, COUNT - 1, `${report.identity} got the audio of every other native`);
    const video = report.tracks.filter(
      (one) => one.kind === "video" && ids.has(one.participant) && one.received > 0,
    );
    const publishes = report.identity === "native-0" || report.identity === "native-1";
    // Where the machine has no time for all, a line looks narrow, and the node says which videos it leaves out for that.
    const leftOut = [...videos].filter(
      ([track, publisher]) =>
        publisher !== report.participant &&
        report.paused.includes(track) &&
        !video.some((one) => one.track === track),
    );
    paused += leftOut.length;
    assert.equal(
      video.length + leftOut.length,
      publishes ? VIDEOS - 1 : VIDEOS,
      `${report.identity} got the videos of the other natives, or heard that they are paused: ${JSON.stringify(report)}`,
    );
    assert.ok(report.receipts > 0, `${report.identity}'s receipts were taken`);
    assert.equal(report.receiptsFailed, 0, `${report.identity}: no receipt was refused`);
    for (const one of report.tracks) {
      received += one.received;
      lost += one.lost;
      withheld += one.withheld;
    }
  }
  assert.ok(paused < COUNT, `most videos that were asked for are sent (${paused} are paused)`);
  const share = lost / (lost + received);
  // Where a process got no time to read its socket, what is missing tells of this machine. What the node missed, everybody else does.
  const dropped = readTooLate() - droppedBefore;
  const excused = dropped * (COUNT + 1);
  assert.ok(
    lost - excused < 0.02 * (lost + received),
    `on loopback next to nothing is lost (${(share * 100).toFixed(2)} %; ${dropped} datagrams were read too late)`,
  );
  // What the node says in the end that it sent each of them agrees with what they say that they got, and so does the loss. What it sent
  // before a native's stack had made the track is in nobody's count but the node's.
  const last = await until("the node has logged the end of every native's session", 20_000, () => {
    const closed = lastStats(suite.network.log("media-1"));
    return reports.every(({ session }) => closed.has(session)) ? closed : undefined;
  });
  let worst = 0;
  for (const report of reports) {
    const stats = latest.get(report.session);
    const sent = last.get(report.session)?.sentPackets;
    assert.ok(stats && sent !== undefined, `the media node has figures of ${report.identity}`);
    const missing = report.tracks.reduce((sum, one) => sum + one.lost, 0);
    const accounted = report.receivedPackets + missing;
    const off = Math.abs(sent - accounted) / Math.max(accounted, 1);
    worst = Math.max(worst, off);
    assert.ok(
      off < 0.08 + dropped / Math.max(accounted, 1),
      `${report.identity}: the node sent ${sent} packets, the native got ${report.receivedPackets} (and ${report.repeatedPackets} again) and missed ${missing}`,
    );
    assert.ok(
      stats.loss < 200 + (10_000 * dropped) / Math.max(stats.sentPackets, 1),
      `${report.identity}: the node hears of ${stats.loss / 100} % loss, the native missed ${missing} packets`,
    );
  }
  assert.ok(track(await suite.adaPage.call(), "grace", "camera"), "the browsers' own call went on");
  t.diagnostic(
    `${COUNT} natives and 2 browsers: the browsers heard ${heard.join(" and ")} natives, the node counted ${counted} sessions; natives ` +
      `got ${received} stamped packets, lost ${lost} (${(share * 100).toFixed(2)} %), ${withheld} were not sent to them, ${dropped} were read too late, ${paused} videos were paused; node and natives differ by at most ` +
      `${(worst * 100).toFixed(1)} % in packets`,
  );
}
