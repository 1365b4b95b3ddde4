import { expect, it } from "vitest";
import { RetentionClock } from "./retention-clock.ts";

const hour = 3_600_000;
const start = Date.UTC(2026, 10, 24);

it("tells once of a clock that jumped ahead, and keeps the time that it was trusted at meanwhile", () => {
  const told: (readonly [number, number])[] = [];
  const clock = new RetentionClock((believedAtMs, nowMs) => told.push([believedAtMs, nowMs]));
  expect(clock.look(undefined, start)).toEqual({ believed: true, believedAtMs: start });
  const jumped = start + 30 * 24 * hour;
  for (const now of [jumped, jumped + hour - 1])
    expect(clock.look(start, now)).toEqual({ believed: false, believedAtMs: start });
  expect(clock.look(start, jumped + hour)).toEqual({ believed: true, believedAtMs: jumped + hour });
  expect(told).toEqual([[start, jumped]]);
});
