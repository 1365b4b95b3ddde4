import type { DriverEvent } from "@berth/plugins";

/** Gathers a driver's events for its one reader; what comes up together is read together. */
export class EventQueue {
  #waiting: DriverEvent[] = [];
  #wake: (() => void) | undefined;
  #scheduled = false;
  #closed = false;

  push(...events: readonly DriverEvent[]): void {
    for (const event of events) this.#waiting.push(event);
    if (this.#scheduled || !this.#wake) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#wake?.();
    });
  }

  /** Ends the reading, after what waits was read. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Batches until it is closed or the signal is aborted; `first` is the first one, whatever it holds. */
  async *batches(first: readonly DriverEvent[], signal: AbortSignal): AsyncGenerator<readonly DriverEvent[]> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener("abort", onAbort);
    try {
      yield first;
      while (!signal.aborted) {
        if (this.#waiting.length === 0) {
          if (this.#closed) return;
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = undefined;
          continue;
        }
        const batch = this.#waiting;
        this.#waiting = [];
        yield batch;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
