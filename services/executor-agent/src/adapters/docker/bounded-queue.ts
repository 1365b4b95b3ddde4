/** Runs at most `limit` jobs at once, in order. A waiting job can be removed. */
export class BoundedQueue {
  readonly #limit: number;
  readonly #waiting = new Map<string, () => Promise<void>>();
  #busy = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `work` must not reject. */
  add(key: string, work: () => Promise<void>): void {
    this.#waiting.set(key, work);
    this.#next();
  }

  /** Removes a waiting job. False if it has begun or is unknown. */
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
