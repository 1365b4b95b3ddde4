import type { Clock } from "../ports/clock.ts";
import type { React } from "./draft.ts";
import { onDeadline } from "./reactor.ts";
import type { RunTable } from "./run-table.ts";

/** Timers stand still while a machine sleeps; the limits' clock does not, so it is looked at again after this time at the latest. */
const maxWaitMs = 5_000;
const minWaitMs = 20;

/** Time limits, the ends of leases, and the KILL after a TERM's grace: looks at the runs when the first of them is due. */
export class LimitTimer {
  readonly #table: RunTable;
  readonly #clock: Clock;
  readonly #react: React;
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Infinity;
  #closed = false;

  constructor(table: RunTable, clock: Clock, react: React) {
    this.#table = table;
    this.#clock = clock;
    this.#react = react;
  }

  /** After runs changed. */
  arm(): void {
    const at = this.#table.earliestMs;
    if (at >= this.#dueAtMs || at === Infinity || this.#closed) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = at;
    const inMs = at - this.#clock.now().elapsedMs;
    this.#timer = setTimeout(() => this.#look(), Math.min(maxWaitMs, Math.max(minWaitMs, inMs)));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    this.#dueAtMs = Infinity;
    if (this.#table.earliestMs <= this.#clock.now().elapsedMs) this.#react(onDeadline);
    this.arm();
  }
}
