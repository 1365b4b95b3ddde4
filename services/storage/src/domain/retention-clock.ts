import { lookAtClock } from "./clock-doubt.ts";
import type { ClockSeen } from "./clock-doubt.ts";

/**
 * Tells whether the clock may be trusted to delete by. Each engine stores in its own way when the clock was last trusted: SQLite in a row, now and then; MongoDB
 * in the writer document, which each transaction writes anyway and all stores share. A doubt is only in memory, so each store doubts from its own start.
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
