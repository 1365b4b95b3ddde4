import { silentLogger } from "@berth/runtime";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { running } from "../testing/held-runs.ts";
import { forgetOldKeys } from "./load-journal.ts";

const minuteMs = 60_000;

describe("keys of settled runs", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("are kept for an hour, and none for longer, however many there were", () => {
    const journal = memoryJournal();
    const clock = { bootId: "boot", now: () => ({ at: new Date(), elapsedMs: performance.now() }) };
    const stop = forgetOldKeys({ journal, clock, logger: silentLogger });
    const keysOf = (minute: number) => Array.from({ length: 500 }, (_, n) => `e/${minute}-${n}/1`);
    const known = (minute: number) => keysOf(minute).filter((key) => journal.remembers(key)).length;
    // Five hours of them: what is kept at the end is that of the last one.
    for (let minute = 0; minute < 300; minute += 1) {
      journal.write({ runs: keysOf(minute).map((key) => running({ key })) });
      journal.write({ settled: keysOf(minute) });
      vi.advanceTimersByTime(minuteMs);
    }
    expect(Array.from({ length: 300 }, (_, minute) => known(minute)).filter((count) => count > 0).length).toBe(60);
    expect(known(240)).toBe(500);
    expect(journal.load().runs).toEqual([]);
    vi.advanceTimersByTime(61 * minuteMs);
    expect(known(299)).toBe(0);
    stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
