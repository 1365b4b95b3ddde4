/** Who waits for the next commit, with or without a row in the feed. */
export class Commits {
  #count = 0;
  readonly #waiters = new Set<() => void>();

  /** How many there were: a reader that saw another number than now has missed one. */
  get count(): number {
    return this.#count;
  }

  /** After each commit. */
  tell(): void {
    this.#count += 1;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  /** Resolves at the next commit, after `ms` or when aborted. */
  next(signal: AbortSignal, ms?: number): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#waiters.delete(done);
        signal.removeEventListener("abort", done);
        clearTimeout(timer);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      signal.addEventListener("abort", done);
      this.#waiters.add(done);
    });
  }
}
