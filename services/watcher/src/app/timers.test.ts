import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { runTimers } from "./timers.ts";

/** Runs timers until the clock says so; sleeps move it. */
async function run(
  answers: (at: number) => boolean | Error,
  untilMs: number,
  onTick: (at: number) => void = () => {},
): Promise<{ ticks: number[]; turns: boolean[]; warned: string[]; released: number }> {
  let now = 0;
  let released = 0;
  const ticks: number[] = [];
  const turns: boolean[] = [];
  const warned: string[] = [];
  const stop = new AbortController();
  const sleepers: { at: number; wake: () => void; fail: (error: unknown) => void }[] = [];
  const running = runTimers(
    {
      lease: {
        async acquire() {
          const held = answers(now);
          if (held instanceof Error) throw held;
          return { held, term: 1, holder: "w" };
        },
        release: async () => void released++,
      },
      logger: { info: () => {}, warn: (_, fields) => void warned.push(String(fields?.["reason"])) },
      ttlMs: 6_000,
      everyMs: 1_000,
      onHeld: (held) => void turns.push(held),
      async onTick() {
        ticks.push(now);
        onTick(now);
      },
      monotonic: () => now,
      random: () => 0,
      sleep: (ms, signal) =>
        new Promise((wake, fail) => {
          sleepers.push({ at: now + ms, wake, fail });
          signal.addEventListener("abort", () => fail(signal.reason));
        }),
    },
    stop.signal,
  );
  while (now < untilMs) {
    await new Promise((resolve) => setImmediate(resolve));
    sleepers.sort((a, b) => a.at - b.at);
    const next = sleepers.shift()!;
    now = Math.max(now, next.at);
    next.wake();
  }
  stop.abort(new Error("the test ends"));
  await running;
  return { ticks, turns, warned, released };
}

describe("runTimers", () => {
  it("ticks only while it holds the lease, and gives it back", async () => {
    const { ticks, turns, released } = await run((at) => at >= 3_000, 8_000);
    expect([turns[0], turns.at(-1)]).toEqual([false, true]);
    expect(ticks[0]).toBeGreaterThanOrEqual(3_000);
    expect(ticks.length).toBeGreaterThanOrEqual(4);
    expect(released).toBe(1);
  });

  it("stops at the lease's end where storage is away, and says so once", async () => {
    const away = new AppError("unavailable", "PEER_UNAVAILABLE", "gone");
    const { ticks, warned } = await run((at) => (at < 1_000 ? true : away), 20_000);
    expect(ticks.at(-1)).toBeLessThan(6_000);
    expect(warned).toEqual(["PEER_UNAVAILABLE"]);
  });

  it("goes on after a tick that failed", async () => {
    const { ticks } = await run(
      () => true,
      6_000,
      (at) => {
        if (at < 2_000) throw new AppError("unavailable", "PEER_UNAVAILABLE", "gone");
      },
    );
    expect(ticks.length).toBeGreaterThanOrEqual(5);
  });
});
