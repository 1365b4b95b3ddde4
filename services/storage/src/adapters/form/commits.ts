/** The callers that wait for the next commit, with or without a row in the feed. */
export class Commits {
  #count = 0;
  readonly #waiters = new Set<() => void>();
  readonly #urgent = new Set<() => void>();

  /** How many there were: a reader that saw another number than now has missed one. */
  get count(): number {
    return this.#count;
  }

  /**
   * After each commit. Urgent readers are woken at once, unless its answers go first; all others in the next turn, so that neither the answers nor an urgent reader wait
   * while they are served.
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
