/** Does at most a few things at once, in order. What waits can be taken out again. */
export class BoundedQueue {
  readonly #limit: number;
  readonly #waiting = new Map<string, () => Promise<void>>();
  #busy = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `work` does not throw. */
  add(key: string, work: () => Promise<void>): void {
    this.#waiting.set(key, work);
    this.#next();
  }

  /** True if it had not begun, and never will. */
  remove(key: string): boolean {
    return this.#waiting.delete(key);
  }

  #next(): void {
    while (this.#busy < this.#limit) {
      const first = this.#waiting.entries().next();
      if (first.done) return;
      const [key, work] = first.value;
      this.#waiting.delete(key);
      this.#busy += 1;
      void work().finally(() => {
        this.#busy -= 1;
        this.#next();
      });
    }
  }
}
