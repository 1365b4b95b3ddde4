/** What time it is at the database, between the moments when it said so: by our monotonic clock, never by this machine's time of day. */
export class DatabaseClock {
  readonly #given: (() => number) | undefined;
  #saidMs = 0;
  #saidAt = 0;

  /** `given`: a clock that a test moves, in its place. */
  constructor(given: (() => number) | undefined) {
    this.#given = given;
  }

  said(ms: number): void {
    this.#saidMs = ms;
    this.#saidAt = performance.now();
  }

  now(): number {
    return this.#given ? this.#given() : Math.floor(this.#saidMs + performance.now() - this.#saidAt);
  }
}
