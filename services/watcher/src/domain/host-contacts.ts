/** A new journal must have been heard of for this long before what was placed for the one before is given up: its agent may still be finding its containers. */
const journalSettleMs = 8_000;

/** Between two looks: a watcher that stood still for longer did not listen meanwhile, though its clock went on. */
const longestGapMs = 5_000;

/** When this watcher heard of which host, and since when of its journal. */
export class HostContacts {
  #sinceMs: number;
  #checkedMs: number;
  readonly #heardMs = new Map<string, number>();
  readonly #seen = new Map<string, { readonly sinceMs: number; readonly lastMs: number }>();
  readonly #journals = new Map<string, { readonly journalId: string; readonly sinceMs: number }>();

  /** It listens from now on. */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#checkedMs = nowMs;
  }

  /** To be called about every second. Where it could not hear, or stood still, it has listened only from now on. */
  listen(canHear: boolean, nowMs: number): void {
    if (!canHear || nowMs - this.#checkedMs > longestGapMs) this.#sinceMs = nowMs;
    this.#checkedMs = nowMs;
  }

  /** How long it has listened in vain for a host. */
  listenedMs(hostId: string, nowMs: number): number {
    return nowMs - Math.max(this.#sinceMs, this.#heardMs.get(hostId) ?? -Infinity);
  }

  /** The database was told, at that time or later, that the host is there. A gap between two of these begins anew. */
  noteSeen(hostId: string, gapMs: number, nowMs: number): void {
    const seen = this.#seen.get(hostId);
    const sinceMs = seen && nowMs - seen.lastMs < gapMs ? seen.sinceMs : nowMs;
    this.#seen.set(hostId, { sinceMs, lastMs: nowMs });
  }

  /** Whether the database has known without a gap, for that long, that the host is there: nothing of it can have been given up meanwhile. */
  isSteady(hostId: string, gapMs: number, forMs: number, nowMs: number): boolean {
    const seen = this.#seen.get(hostId);
    return seen !== undefined && nowMs - seen.lastMs < gapMs && nowMs - seen.sinceMs >= forMs;
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
