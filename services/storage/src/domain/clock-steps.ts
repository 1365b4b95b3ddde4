/** Two clocks of one machine drift apart by far less than this between two looks; the margin after a lease covers it. */
const stepMs = 1_000;

/**
 * Detects that the wall clock was set, by comparing it with a monotonic clock. Durations across such a step are invalid: after a clock went half an hour ahead,
 * every host would seem silent for half an hour.
 */
export class ClockSteps {
  #distanceMs: number | undefined;

  /** Whether it was set since the last call. */
  wasSet(dayMs: number, steadyMs: number): boolean {
    const distanceMs = dayMs - steadyMs;
    const before = this.#distanceMs;
    this.#distanceMs = distanceMs;
    return before !== undefined && Math.abs(distanceMs - before) > stepMs;
  }
}
