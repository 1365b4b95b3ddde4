import { ClockSteps } from "../../domain/clock-steps.ts";

/** Clocks that a test moves, in place of the database's and of this machine's timers. */
export interface GivenClocks {
  now(): number;
  steadyMs(): number;
}

/** What time it is at the database, between the moments when it said so: by our monotonic clock, never by this machine's time of day. */
export class DatabaseClock {
  readonly #given: GivenClocks | undefined;
  readonly #steps = new ClockSteps();
  #saidMs = 0;
  #saidAt = 0;
  /** Called when it was set. An answer that took longer than a second looks the same: what is noted by this clock is not sure to that. */
  onSet: () => void = () => {};

  constructor(given: GivenClocks | undefined) {
    this.#given = given;
  }

  said(ms: number): void {
    this.#saidMs = ms;
    this.#saidAt = this.#steadyMs();
    if (this.#steps.wasSet(this.#saidMs, this.#saidAt)) this.onSet();
  }

  /** It was that time already when somebody wrote: news of a clock that went ahead. */
  saidBefore(ms: number): void {
    if (ms > this.now()) this.said(ms);
  }

  now(): number {
    if (this.#given) this.said(this.#given.now());
    return Math.floor(this.#saidMs + this.#steadyMs() - this.#saidAt);
  }

  #steadyMs(): number {
    return this.#given ? this.#given.steadyMs() : performance.now();
  }
}
