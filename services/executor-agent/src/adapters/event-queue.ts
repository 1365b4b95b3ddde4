import type { DriverEvent } from "@berth/plugins";

/** Queues a driver's events for its one reader, who gets all queued events as one batch. */
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

  /** Ends the iteration after the queued events. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Yields `first`, even if empty, and then batches until the queue is closed or the signal is aborted. */
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
