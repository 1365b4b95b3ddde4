/** A new journal must have been heard of for this long before what was placed for the one before is given up: its agent may still be finding its containers. */
const journalSettleMs = 8_000;

/** When this watcher heard of which host, and since when of its journal. */
export class Hearing {
  readonly #sinceMs: number;
  readonly #heardMs = new Map<string, number>();
  readonly #journals = new Map<string, { readonly journalId: string; readonly sinceMs: number }>();

  /** It listens from now on. */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  heard(hostId: string, nowMs: number): void {
    this.#heardMs.set(hostId, nowMs);
  }

  /** Whether that journal has been the host's for long enough to say that another one is gone. */
  journalSettled(hostId: string, journalId: string, nowMs: number): boolean {
    const known = this.#journals.get(hostId);
    if (known?.journalId === journalId) return nowMs - known.sinceMs >= journalSettleMs;
    this.#journals.set(hostId, { journalId, sinceMs: nowMs });
    return false;
  }

  /** Those not heard of for `silentAfterMs`; none before this watcher has itself listened for that long. */
  silent(hostIds: Iterable<string>, silentAfterMs: number, nowMs: number): string[] {
    if (nowMs - this.#sinceMs < silentAfterMs) return [];
    return [...hostIds].filter((hostId) => nowMs - (this.#heardMs.get(hostId) ?? -Infinity) >= silentAfterMs);
  }
}
