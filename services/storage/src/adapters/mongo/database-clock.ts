import { ClockSteps } from "../../domain/clock-steps.ts";

/** Clocks that a test moves, in place of the database's and of this machine's timers. */
export interface GivenClocks {
  now(): number;
  steadyMs(): number;
}

/** The database's time. Between its answers our monotonic clock counts on from the last one; this machine's wall clock is never read. */
export class DatabaseClock {
  readonly #given: GivenClocks | undefined;
  readonly #steps = new ClockSteps();
  #saidMs = 0;
  #saidAt = 0;
  /** Called when the database's clock was set. An answer that took longer than a second looks the same, because both change the distance to our clock. */
  onSet: () => void = () => {};

  constructor(given: GivenClocks | undefined) {
    this.#given = given;
  }

  said(ms: number): void {
    this.#saidMs = ms;
    this.#saidAt = this.#steadyMs();
    if (this.#steps.wasSet(this.#saidMs, this.#saidAt)) this.onSet();
  }

  /** Time of another store's write. It counts only if it is later than our estimate: then the database's clock went ahead. */
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
