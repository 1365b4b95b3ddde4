/** A step of the clock that is larger is not believed at once. */
const jumpMs = 86_400_000;
/** How long a clock that jumped must go on as usual before it is believed. */
const probationMs = 3_600_000;

/** What is known of a clock by which things are removed for good. */
export interface ClockSeen {
  /** When it was believed last; undefined: never looked at. */
  readonly believedAtMs: number | undefined;
  /** Since when it tells a time that is not believed. */
  readonly doubtSinceMs?: number | undefined;
  readonly lookedAtMs?: number | undefined;
}

/**
 * Takes a look at the clock. Where it jumped ahead by more than a day since it was believed last, it is believed again only after an hour in which it did not
 * jump: a wrong clock removes nothing that somebody would miss, and a database that was closed for a month loses an hour.
 */
export function lookAtClock(seen: ClockSeen, nowMs: number): ClockSeen & { readonly believed: boolean } {
  const { believedAtMs, doubtSinceMs, lookedAtMs } = seen;
  if (believedAtMs === undefined || nowMs - believedAtMs <= jumpMs) return { believedAtMs: nowMs, believed: true };
  const goesOn = lookedAtMs !== undefined && nowMs >= lookedAtMs && nowMs - lookedAtMs <= jumpMs;
  if (doubtSinceMs === undefined || !goesOn)
    return { believedAtMs, doubtSinceMs: nowMs, lookedAtMs: nowMs, believed: false };
  if (nowMs - doubtSinceMs >= probationMs) return { believedAtMs: nowMs, believed: true };
  return { believedAtMs, doubtSinceMs, lookedAtMs: nowMs, believed: false };
}
