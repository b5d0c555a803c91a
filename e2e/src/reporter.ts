import type { EventData } from "node:test";

/*
 * A reporter for people: one line as each promise is kept or broken, then a summary with the figures. The last line is
 * "N passed, N failed".
 */

interface Row {
  name: string;
  ok: boolean;
  ms: number;
  figures: string[];
  reason: string;
}

type Event =
  | { type: "test:pass"; data: EventData.TestPass }
  | { type: "test:fail"; data: EventData.TestFail }
  | { type: "test:diagnostic"; data: EventData.TestDiagnostic }
  | { type: "test:stderr" | "test:stdout"; data: { message: string } }
  | {
      type:
        | "test:start"
        | "test:plan"
        | "test:complete"
        | "test:enqueue"
        | "test:dequeue"
        | "test:coverage"
        | "test:summary";
    };

function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? (inner.stack ?? inner.message) : String(inner);
}

export default async function* reporter(source: AsyncIterable<Event>): AsyncGenerator<string> {
  const rows: Row[] = [];
  let broken = "";
  for await (const event of source) {
    switch (event.type) {
      case "test:diagnostic":
        // They come right after the test that they are of.
        if (event.data.nesting > 0 && rows.length > 0) {
          rows.at(-1)?.figures.push(event.data.message);
          yield `       ${event.data.message}\n`;
        }
        break;
      case "test:pass":
      case "test:fail": {
        const { data } = event;
        const ok = event.type === "test:pass";
        const reason = event.type === "test:fail" ? reasonOf(event.data.details.error) : "";
        const isSuite = (data.details as { type?: string }).type === "suite";
        if (isSuite || data.nesting === 0) {
          // The suite fails with its tests; on its own only where the network could not be started or ended.
          if (!ok && !/subtests? failed/.test(reason)) broken = reason;
          break;
        }
        rows.push({ name: data.name, ok, ms: data.details.duration_ms, figures: [], reason });
        yield `${ok ? "ok    " : "FAILED"} ${data.name} (${(data.details.duration_ms / 1000).toFixed(1)} s)\n`;
        if (!ok) yield `${reason.replace(/^/gm, "       ")}\n`;
        break;
      }
      case "test:stderr":
      case "test:stdout":
        yield event.data.message;
        break;
      default:
    }
  }
  yield "\n";
  for (const row of [...rows].sort((a, b) => a.name.localeCompare(b.name))) {
    yield `${row.ok ? "ok    " : "FAILED"} ${row.name}: ${row.ok ? row.figures.join("; ") : (row.reason.split("\n")[0] ?? "")}\n`;
  }
  if (broken !== "") yield `FAILED the network: ${broken}\n`;
  const failed = rows.filter(({ ok }) => !ok).length + (broken === "" ? 0 : 1);
  yield `${rows.length - rows.filter(({ ok }) => !ok).length} passed, ${failed} failed\n`;
}
