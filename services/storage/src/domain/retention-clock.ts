import { lookAtClock } from "./clock-doubt.ts";
import type { ClockSeen } from "./clock-doubt.ts";

/**
 * Tells whether the clock may be trusted to delete by. When it was last trusted is kept in the database, by each engine in its own way: one process writes it every
 * ten minutes, several copies share it in a document that each write takes anyhow. The doubt is in memory: whoever starts anew doubts from its own beginning.
 */
export class RetentionClock {
  readonly #onDoubt: (believedAtMs: number, nowMs: number) => void;
  #doubt: Omit<ClockSeen, "believedAtMs"> = {};

  /** `onDoubt` is told once, when the doubt begins. */
  constructor(onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#onDoubt = onDoubt;
  }

  /** `believedAtMs`: when it was last trusted; undefined: never read. Answers when it is from now on. */
  look(
    believedAtMs: number | undefined,
    nowMs: number,
  ): { readonly believed: boolean; readonly believedAtMs: number | undefined } {
    const before = this.#doubt;
    const { believed, believedAtMs: believedAt, ...doubt } = lookAtClock({ ...before, believedAtMs }, nowMs);
    this.#doubt = doubt;
    if (!believed && before.doubtSinceMs === undefined) this.#onDoubt(believedAt!, nowMs);
    return { believed, believedAtMs: believedAt };
  }
}
