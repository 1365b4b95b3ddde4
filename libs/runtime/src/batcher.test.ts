import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { batcher } from "./batcher.ts";

describe("batcher", () => {
  it("gathers what comes in one turn, and what comes during a run", async () => {
    const sizes: number[] = [];
    const gate = Promise.withResolvers<void>();
    const double = batcher<number, number>({
      maxItems: 3,
      maxQueued: 10,
      async run(items) {
        sizes.push(items.length);
        if (sizes.length === 1) await gate.promise;
        return items.map((n) => n * 2);
      },
    });
    const first = [1, 2].map(double);
    await new Promise(setImmediate);
    const second = [3, 4, 5, 6].map(double);
    gate.resolve();
    expect(await Promise.all([...first, ...second])).toEqual([2, 4, 6, 8, 10, 12]);
    expect(sizes).toEqual([2, 3, 1]);
  });

  it("refuses more than it may queue", async () => {
    const echo = batcher<number, number>({ maxItems: 1, maxQueued: 1, run: async (items) => items });
    const first = echo(1);
    await expect(echo(2)).rejects.toMatchObject({ code: "unavailable", reason: "QUEUE_FULL" });
    expect(await first).toBe(1);
  });

  it("rejects one item, or all of a run that fails, and goes on", async () => {
    const calls = batcher<number, number>({
      maxItems: 2,
      maxQueued: 10,
      async run(items) {
        if (items.includes(9)) throw new Error("whole run");
        return items.map((n) => (n === 1 ? AppError.received("invalid", "ODD", "odd") : n));
      },
    });
    const results = await Promise.allSettled([1, 2, 9, 4, 5].map(calls));
    expect(results.map((r) => (r.status === "fulfilled" ? r.value : (r.reason as Error).message))).toEqual([
      "odd",
      2,
      "whole run",
      "whole run",
      5,
    ]);
  });

  it("calls a wrong number of results an error of ours", async () => {
    const wrong = batcher<number, number>({ maxItems: 2, maxQueued: 2, run: async () => [] });
    await expect(wrong(1)).rejects.toMatchObject({ code: "internal", reason: "BATCH_SIZE" });
  });
});
