import { describe, expect, it } from "vitest";
import { lookAtClock } from "./clock-doubt.ts";
import type { ClockSeen } from "./clock-doubt.ts";

const hour = 3_600_000;
const day = 24 * hour;

function looks(times: readonly number[], from: ClockSeen = { believedAtMs: undefined }): boolean[] {
  let seen = from;
  return times.map((time) => {
    const next = lookAtClock(seen, time);
    seen = next;
    return next.believed;
  });
}

describe("lookAtClock", () => {
  it("believes a clock that goes on, and one that is set back", () => {
    expect(looks([day, day + hour, 2 * day, hour])).toEqual([true, true, true, true]);
  });

  it("believes a jump only after an hour without another", () => {
    expect(looks([0, 400 * day, 400 * day + hour - 1, 400 * day + hour])).toEqual([true, false, false, true]);
  });

  it("begins anew with each jump", () => {
    expect(looks([0, 400 * day, 800 * day, 800 * day + hour - 1, 800 * day + hour])).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  it("forgets the doubt when the clock is set right again", () => {
    expect(looks([0, 400 * day, hour, 2 * hour])).toEqual([true, false, true, true]);
  });

  it("doubts again after a restart: only a time that was believed is remembered", () => {
    expect(looks([400 * day + hour, 400 * day + 2 * hour], { believedAtMs: 0 })).toEqual([false, true]);
  });
});
