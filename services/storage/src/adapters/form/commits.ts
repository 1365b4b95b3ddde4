/** The callers that wait for the next commit, with or without a row in the feed. */
export class Commits {
  #count = 0;
  readonly #waiters = new Set<() => void>();
  readonly #urgent = new Set<() => void>();

  /** The number of commits. If it changed since a reader looked, the reader has missed one. */
  get count(): number {
    return this.#count;
  }

  /**
   * To be called after each commit. Urgent readers are woken at once, unless the commit's own callers are to be answered first. All other readers are woken in the next
   * turn of the event loop, so that callers and urgent readers do not wait for them.
   */
  tell(answersFirst = false): void {
    this.#count += 1;
    if (!answersFirst) wakeAll(this.#urgent);
    if (this.#urgent.size + this.#waiters.size === 0) return;
    setImmediate(() => {
      wakeAll(this.#urgent);
      wakeAll(this.#waiters);
    });
  }

  /** Resolves at the next commit, after `ms` or when aborted. */
  next(signal: AbortSignal, ms?: number, urgent = false): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const waiters = urgent ? this.#urgent : this.#waiters;
    return new Promise((resolve) => {
      const done = () => {
        waiters.delete(done);
        signal.removeEventListener("abort", done);
        clearTimeout(timer);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      signal.addEventListener("abort", done);
      waiters.add(done);
    });
  }
}

function wakeAll(waiters: Set<() => void>): void {
  const woken = [...waiters];
  waiters.clear();
  for (const wake of woken) wake();
}
