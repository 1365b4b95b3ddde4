import { uptime } from "node:os";

/** Timers stop while a machine sleeps, but leases go on. So leases are checked at least this often. */
const lookAtLeastEveryMs = 2_000;
const minWaitMs = 20;

/** Milliseconds since boot, sleep included: the clock of the agent's journal. */
export const bootMs = (): number => uptime() * 1000;

/** Ends of leases. Calls `onEnd` once per run whose lease has ended. */
export class Leases {
  readonly #until = new Map<string, number>();
  readonly #onEnd: (key: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #wakeAt = Infinity;

  constructor(onEnd: (key: string) => void) {
    this.#onEnd = onEnd;
  }

  /** Undefined: the run has no lease. */
  set(key: string, untilBootMs: number | undefined): void {
    if (untilBootMs === undefined) return void this.#until.delete(key);
    this.#until.set(key, untilBootMs);
    this.#arm(untilBootMs);
  }

  delete(key: string): void {
    this.#until.delete(key);
  }

  hasPassed(key: string): boolean {
    return (this.#until.get(key) ?? Infinity) <= bootMs();
  }

  #arm(at: number): void {
    if (at >= this.#wakeAt) return;
    clearTimeout(this.#timer);
    this.#wakeAt = at;
    this.#timer = setTimeout(() => this.#look(), Math.min(lookAtLeastEveryMs, Math.max(minWaitMs, at - bootMs())));
  }

  #look(): void {
    const now = bootMs();
    this.#wakeAt = Infinity;
    let next = Infinity;
    for (const [key, until] of this.#until) {
      if (until <= now) {
        this.#until.delete(key);
        this.#onEnd(key);
      } else next = Math.min(next, until);
    }
    if (next < Infinity) this.#arm(next);
  }
}
