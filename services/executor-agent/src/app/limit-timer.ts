import type { Clock } from "../ports/clock.ts";
import type { React } from "./draft.ts";
import { onDeadline } from "./reactor.ts";
import type { RunTable } from "./run-table.ts";

/** The longest wait between two checks. Timers stop while a machine sleeps and the elapsed clock does not, so one long timer could fire too late. */
const maxWaitMs = 5_000;
const minWaitMs = 20;

/** Wakes the reactor when the first time limit, lease or grace ends. */
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

  /** Sets the timer for the earliest deadline. Call it after runs changed. */
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
