import { onLease } from "../domain/lease.ts";
import { onTime } from "../domain/news.ts";
import { deadlineOf } from "../domain/steps.ts";
import type { Clock } from "../ports/clock.ts";
import type { RunTable } from "./run-table.ts";

/** Timers stand still while a machine sleeps; the limits' clock does not, so it is looked at again after this time at the latest. */
const maxWaitMs = 5_000;
const minWaitMs = 20;

/** Time limits, the ends of leases, and the KILL after a TERM's grace: looks at the runs when the first of them is due. */
export class LimitTimer {
  readonly #table: RunTable;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Infinity;
  #closed = false;

  constructor(table: RunTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
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
    const now = this.#clock.now();
    if (this.#table.earliestMs <= now.elapsedMs) {
      const due: string[] = [];
      let earliest = Infinity;
      for (const held of this.#table.values()) {
        const next = onLease(onTime(held, now), now);
        if (next !== held) this.#table.change(next, "now");
        const deadline = deadlineOf(next) ?? Infinity;
        if (deadline <= now.elapsedMs) due.push(held.key);
        else earliest = Math.min(earliest, deadline);
      }
      this.#table.earliestMs = earliest;
      this.#table.commit();
      this.#table.actNow(due);
    }
    this.arm();
  }
}
