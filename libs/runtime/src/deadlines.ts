/** An object with a deadline. */
export interface Due {
  /** Called once at the deadline, and not after `stop`. */
  onDue(): void;
}

/**
 * Deadlines of equal length, such as those of a server's calls. They share one timer, because a timer per call costs more than everything else that bounds the
 * call. The timer does not keep the process alive.
 */
export class Deadlines {
  readonly afterMs: number;
  /** In the order of their deadlines. */
  readonly #dueAt = new Map<Due, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number) {
    this.afterMs = afterMs;
  }

  /** Starts the deadline, or restarts it from now. */
  start(due: Due): void {
    this.#dueAt.delete(due);
    this.#dueAt.set(due, performance.now() + this.afterMs);
    this.#wait(this.afterMs);
  }

  stop(due: Due): void {
    this.#dueAt.delete(due);
  }

  #wait(ms: number): void {
    if (this.#timer) return;
    this.#timer = setTimeout(this.#onTimer, ms).unref();
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    // The timer may fire a fraction of a millisecond early.
    const now = performance.now() + 1;
    for (const [due, at] of this.#dueAt) {
      if (at > now) {
        return this.#wait(at - now + 1);
      }
      this.#dueAt.delete(due);
      due.onDue();
    }
  };
}
