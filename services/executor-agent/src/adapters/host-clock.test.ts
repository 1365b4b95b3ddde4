import { describe, expect, it } from "vitest";
import { hostClock } from "./host-clock.ts";

/** A machine whose uptime is told in hundredths of a second, as Linux tells it. */
function setUp() {
  const is = { wallMs: 1_700_000_000_000, timerMs: 5_003, uptimeMs: 90_003 };
  const clock = hostClock({
    wallMs: () => is.wallMs,
    timerMs: () => is.timerMs,
    uptimeMs: () => Math.floor(is.uptimeMs / 10) * 10,
  });
  return {
    clock,
    is,
    pass(ms: number) {
      for (const name of ["wallMs", "timerMs", "uptimeMs"] as const) is[name] += ms;
      return clock.now();
    },
  };
}

describe("hostClock", () => {
  it("counts as finely as timers do, and never back, however often it looks at the uptime", () => {
    const { clock, pass } = setUp();
    let last = clock.now().elapsedMs;
    expect(last).toBe(90_000);
    for (let i = 0; i < 500; i++) {
      const { elapsedMs } = pass(337);
      expect(elapsedMs - last).toBe(337);
      last = elapsedMs;
    }
  });

  it("counts the time in which the machine slept, at once", () => {
    const { clock, is, pass } = setUp();
    const before = clock.now().elapsedMs;
    is.wallMs += 60_000;
    is.uptimeMs += 60_000;
    expect(pass(1).elapsedMs - before).toBeGreaterThanOrEqual(60_000);
  });

  it("does not mind that the wall clock is set", () => {
    const { clock, is, pass } = setUp();
    const before = clock.now().elapsedMs;
    is.wallMs -= 3_600_000;
    expect(pass(5).elapsedMs - before).toBe(5);
    is.wallMs += 7_200_000;
    expect(pass(5).elapsedMs - before).toBe(10);
  });
});
