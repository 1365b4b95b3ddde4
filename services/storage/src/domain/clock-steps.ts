/** Two clocks of one machine drift apart by far less than this between two looks; the margin after a lease covers it. */
const stepMs = 1_000;

/**
 * Notices when the clock by which the database counts was set, by one that cannot be set. A length between a time of before and one of after is no length: by a
 * clock that went half an hour ahead, every host would not have been heard for half an hour.
 */
export class ClockSteps {
  #distanceMs: number | undefined;

  /** Whether it was set since the last look. */
  wasSet(dayMs: number, steadyMs: number): boolean {
    const distanceMs = dayMs - steadyMs;
    const before = this.#distanceMs;
    this.#distanceMs = distanceMs;
    return before !== undefined && Math.abs(distanceMs - before) > stepMs;
  }
}
