/** A larger step of the clock is not trusted at once. */
const jumpMs = 86_400_000;
/** How long a clock must run without a jump before it is trusted again. */
const probationMs = 3_600_000;

/** What was observed of the clock that decides what is deleted. */
export interface ClockSeen {
  /** When it was last trusted; undefined: never read. */
  readonly believedAtMs: number | undefined;
  /** Since when its time is not trusted. */
  readonly doubtSinceMs?: number | undefined;
  readonly lookedAtMs?: number | undefined;
}

/**
 * Reads the clock. If it jumped ahead by more than a day, it is trusted again only after an hour without a jump. So a wrong clock deletes nothing, and a database
 * that was closed for a month waits for an hour.
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
