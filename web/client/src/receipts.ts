import { MAX_INTERVAL_MS, type ReceiptBody, type SessionKey, type SignedReceipt } from "./receipt.js";
import { StatsTracker, type RawStat } from "./stats.js";

/** Receipts that wait for the orchestrator at most; the oldest go first. */
const MAX_WAITING = 12;

/** Sends a receipt; rejects if it did not arrive. */
export type SendReceipt = (receipt: SignedReceipt) => Promise<void>;

/**
 * Makes the receipts of one session: one per interval and media node, numbered without gaps, kept while the orchestrator
 * cannot be reached. Time and statistics are arguments.
 */
export class ReceiptLedger {
  #tracker = new StatsTracker();
  #seq = 0;
  #from: number | undefined;
  #waiting: SignedReceipt[] = [];
  #sending = false;

  constructor(
    private readonly session: string,
    private readonly key: SessionKey,
  ) {}

  /** A new media connection began at `now`: what was measured on the last one does not count for it. */
  begin(now: number): void {
    this.#tracker = new StatsTracker();
    this.#from = now;
  }

  /** Closes the interval: undefined if there is nothing to say of it. */
  async close(node: string, now: number, stats: Iterable<RawStat>): Promise<SignedReceipt | undefined> {
    const from = this.#from;
    const delta = this.#tracker.advance(stats);
    this.#from = now;
    // After sleep or a set clock the interval says nothing; the next one starts here.
    if (from === undefined || now <= from || now - from > MAX_INTERVAL_MS) return undefined;
    if (delta.rxPackets === 0 && delta.rxLost === 0 && delta.txPackets === 0) return undefined;
    this.#seq += 1;
    const body: ReceiptBody = {
      v: 1,
      session: this.session,
      node,
      seq: this.#seq,
      from,
      to: now,
      rxPackets: delta.rxPackets,
      rxLost: delta.rxLost,
      rxBytes: delta.rxBytes,
      txBytes: delta.txBytes,
      rttMs: delta.rttMs,
      jitterMs: delta.jitterMs,
      // The application knows what it asked for in pixels, not in bits.
      wantedKbps: 0,
      deliveredKbps: (delta.rxBytes * 8) / (now - from),
      framesDecoded: delta.framesDecoded,
      freezeMs: Math.min(delta.freezeMs, now - from),
    };
    const receipt = await this.key.sign(body);
    this.#waiting.push(receipt);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    return receipt;
  }

  /** Number of receipts that were not sent yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Sends what waits, oldest first. `refused` decides whether an error means that this receipt is done for; after any other error
   * it and those behind it stay.
   */
  async flush(send: SendReceipt, refused: (error: unknown) => boolean): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (;;) {
        const receipt = this.#waiting[0];
        if (!receipt) return;
        try {
          await send(receipt);
        } catch (error) {
          if (!refused(error)) return;
        }
        if (this.#waiting[0] === receipt) this.#waiting.shift();
      }
    } finally {
      this.#sending = false;
    }
  }
}
