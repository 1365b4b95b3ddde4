/** A new journal must be known for this long before runs of the old one are given up, because its agent may still be looking for its containers. */
const journalSettleMs = 8_000;

/** Longest gap between two calls of `listen`. A watcher that was paused for longer did not receive messages, although its clock went on. */
const longestGapMs = 5_000;

/** When this watcher last received a message from each host, and since when it knows the host's journal. */
export class HostContacts {
  #sinceMs: number;
  #checkedMs: number;
  readonly #heardMs = new Map<string, number>();
  readonly #seen = new Map<string, { readonly sinceMs: number; readonly lastMs: number }>();
  readonly #journals = new Map<string, { readonly journalId: string; readonly sinceMs: number }>();

  /** Starts to listen now. */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#checkedMs = nowMs;
  }

  /** Must be called about every second. After a time without a connection, or a pause, the listening time starts again. */
  listen(canHear: boolean, nowMs: number): void {
    if (!canHear || nowMs - this.#checkedMs > longestGapMs) this.#sinceMs = nowMs;
    this.#checkedMs = nowMs;
  }

  /** For how long it has listened without a message from the host. */
  listenedMs(hostId: string, nowMs: number): number {
    return nowMs - Math.max(this.#sinceMs, this.#heardMs.get(hostId) ?? -Infinity);
  }

  /** The database recorded, at this time or later, that the host is alive. A gap longer than `gapMs` starts the count again. */
  noteSeen(hostId: string, gapMs: number, nowMs: number): void {
    const seen = this.#seen.get(hostId);
    const sinceMs = seen && nowMs - seen.lastMs < gapMs ? seen.sinceMs : nowMs;
    this.#seen.set(hostId, { sinceMs, lastMs: nowMs });
  }

  /** Whether the database has had no gap for this host for `forMs`, so that none of its runs can have been given up in that time. */
  isSteady(hostId: string, gapMs: number, forMs: number, nowMs: number): boolean {
    const seen = this.#seen.get(hostId);
    return seen !== undefined && nowMs - seen.lastMs < gapMs && nowMs - seen.sinceMs >= forMs;
  }

  heard(hostId: string, nowMs: number): void {
    this.#heardMs.set(hostId, nowMs);
  }

  /** Whether the journal has been the host's for long enough to treat runs of another journal as lost. */
  journalSettled(hostId: string, journalId: string, nowMs: number): boolean {
    const known = this.#journals.get(hostId);
    if (known?.journalId === journalId) return nowMs - known.sinceMs >= journalSettleMs;
    this.#journals.set(hostId, { journalId, sinceMs: nowMs });
    return false;
  }

  /** The hosts without a message for `silentAfterMs`; none before this watcher has listened for that long itself. */
  silent(hostIds: Iterable<string>, silentAfterMs: number, nowMs: number): string[] {
    if (nowMs - this.#sinceMs < silentAfterMs) return [];
    return [...hostIds].filter((hostId) => nowMs - (this.#heardMs.get(hostId) ?? -Infinity) >= silentAfterMs);
  }
}
