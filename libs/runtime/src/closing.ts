/** Collects close functions, and calls them once, in reverse order, even if some fail. */
export class Closing {
  readonly #closers: (() => Promise<void> | void)[] = [];

  /** Registers a close; call it right after opening. */
  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** Throws an AggregateError of all failures after the last close. Things added during the close are closed, too. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let next = this.#closers.pop(); next; next = this.#closers.pop()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "did not close cleanly");
  }
}
