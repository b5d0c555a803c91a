import { ConnectionError, ReceiptError, TimeoutError } from "./errors.js";
import type { Link } from "./link.js";
import type { NodeInfo } from "./protocol.js";
import { quality, type Quality } from "./quality.js";
import type { SessionKey } from "./receipt.js";
import { ReceiptLedger } from "./receipts.js";
import type { RemoteTrack } from "./remote.js";
import type { Emit } from "./room-events.js";
import type { Signalling } from "./signalling.js";
import { StallWatch } from "./stall-watch.js";
import { StatsTracker, entries } from "./stats.js";

const QUALITY_MS = 1_000;

type Timer = ReturnType<typeof setInterval>;

/** What is measured: the room as it stands at the moment. */
export interface Measured {
  readonly link: Link | undefined;
  readonly signalling: Signalling | undefined;
  readonly node: NodeInfo | undefined;
  /** Whether media should flow. */
  readonly flowing: boolean;
  readonly tracks: Iterable<RemoteTrack>;
}

/** Measures a room: the quality once a second, a signed receipt per interval. */
export class Measurement {
  #tracker = new StatsTracker();
  #measuredAt = 0;
  #ledger: ReceiptLedger | undefined;
  #receiptTimer: Timer | undefined;
  #qualityTimer: Timer | undefined;
  #last: Quality | undefined;
  readonly #stalls = new StallWatch();

  constructor(
    private readonly measured: () => Measured,
    private readonly emit: Emit,
    private readonly warn: (error: unknown) => void,
  ) {}

  /** The last second's quality. */
  get last(): Quality | undefined {
    return this.#last;
  }

  /** A new session: its receipts are signed with this key. */
  open(session: string, key: SessionKey): void {
    this.#ledger = new ReceiptLedger(session, key);
  }

  /** A new media connection: what was measured on the last one does not count for it. */
  begin(): void {
    this.#tracker = new StatsTracker();
    this.#ledger?.begin(Date.now());
    this.#measuredAt = Date.now();
  }

  /** Begins to measure, with a receipt each `receiptIntervalMs`. */
  schedule(receiptIntervalMs = 5_000): void {
    this.stop();
    const interval = Math.min(Math.max(receiptIntervalMs, 1_000), 30_000);
    this.#receiptTimer = setInterval(() => void this.receipt().catch(this.warn), interval);
    this.#qualityTimer = setInterval(() => void this.#measure().catch(() => undefined), QUALITY_MS);
  }

  /** Ends measuring. */
  stop(): void {
    clearInterval(this.#receiptTimer);
    clearInterval(this.#qualityTimer);
  }

  /** Closes the interval with a receipt and sends it. */
  async receipt(): Promise<void> {
    const { link, node } = this.measured();
    const ledger = this.#ledger;
    if (!link || !ledger || !node) return;
    const report = await link.pc.getStats();
    if (link !== this.measured().link) return;
    const receipt = await ledger.close(node.id, Date.now(), entries(report));
    if (receipt) this.emit("receipt", receipt);
    this.flush();
  }

  /** Sends the receipts that wait. */
  flush(): void {
    const { signalling } = this.measured();
    if (!signalling?.open || !this.#ledger) return;
    void this.#ledger.flush(
      async (receipt) => {
        await signalling.call("session.receipt", { ...receipt });
        this.emit("receiptTaken", receipt);
      },
      (error) => {
        if (error instanceof ReceiptError) this.warn(error);
        // Whatever the orchestrator answered, it will answer again; only silence is worth another attempt.
        return !(error instanceof ConnectionError || error instanceof TimeoutError);
      },
    );
  }

  async #measure(): Promise<void> {
    const { link } = this.measured();
    const tracker = this.#tracker;
    if (!link) return;
    const report = await link.pc.getStats();
    if (link !== this.measured().link) return;
    const now = Date.now();
    const event = quality(tracker.advance(entries(report)), now, now - this.#measuredAt, (stream) =>
      link.trackOn(stream.mid, stream.trackIdentifier),
    );
    this.#measuredAt = now;
    this.#last = event;
    this.emit("quality", event);
    this.#revive(link, event, now);
  }

  /** Asks again for tracks that should flow and don't. */
  #revive(link: Link, event: Quality, now: number): void {
    const { tracks, signalling, flowing } = this.measured();
    const flows = new Map<string, boolean>();
    for (const track of tracks) {
      if (track.media && !track.muted && !track.paused)
        flows.set(track.id, (event.tracks.get(track.id)?.kbps ?? 0) > 0);
    }
    const lines = this.#stalls.due(flows, now).map((track) => link.line(track));
    const subscribe = lines.filter((line) => line !== undefined);
    if (subscribe.length === 0 || !flowing) return;
    signalling?.call("session.subscribe", { subscribe }).catch(() => undefined);
  }
}
