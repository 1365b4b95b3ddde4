import { describe, expect, it } from "vitest";
import { ClockSteps } from "./clock-steps.ts";

describe("ClockSteps", () => {
  it("notices each step, ahead or back, once, and no drift", () => {
    const steps = new ClockSteps();
    expect(steps.wasSet(1_000_000, 50)).toBe(false);
    for (let n = 1; n <= 100; n++) expect(steps.wasSet(1_000_000 + n * 60_060, 50 + n * 60_000)).toBe(false);
    const [day, steady] = [1_000_000 + 100 * 60_060, 50 + 100 * 60_000];
    expect([steps.wasSet(day + 18_000, steady), steps.wasSet(day + 18_100, steady + 100)]).toEqual([true, false]);
    expect([steps.wasSet(day - 3_600_000, steady + 200), steps.wasSet(day - 3_599_000, steady + 1_200)]).toEqual([
      true,
      false,
    ]);
  });
});
