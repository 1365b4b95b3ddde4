import { GiB } from "@berth/core";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { later, placed, plan, queueOf } from "../testing/cycles.ts";
import type { FeedRow } from "./feed.ts";
import { brokenInvariant } from "./invariants.ts";
import type { Queue } from "./queue.ts";

describe("planCycle, short tasks", () => {
  const over = (id: string, ranMs: number) =>
    aTaskRow(id, { state: "over", outcome: "succeeded", attempt: 1, hostId: "h1", ranMs });
  const queueAfter = (ranMs: number, ...rows: FeedRow[]): Queue => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("1", { state: "placed", attempt: 1, hostId: "h1" }));
    for (const row of [over("1", ranMs), ...rows]) queue.apply(row, later);
    return queue;
  };
  const many = Array.from({ length: 400 }, (_, i) => aTaskRow(`${i + 10}`));

  it("gives a host some to wait there, so that it is not idle until the next cycle", () => {
    expect(plan(queueAfter(2, ...many)).placements.length).toBe(4 * 65);
    expect(brokenInvariant(queueAfter(2, ...many))).toBeUndefined();
  });

  it("gives it no more than it can run where they take longer, or none has run yet", () => {
    expect(plan(queueAfter(500, ...many)).placements.length).toBe(4);
    expect(plan(queueOf(aHostRow("h1"), ...many)).placements.length).toBe(4);
  });

  it("gives it no more than it can run while something else waits", () => {
    const large = aTaskRow("5", { needs: { cpuMilli: 4000, memoryBytes: GiB } });
    expect(placed(plan(queueAfter(2, large, ...many)))).toEqual(["5@h1"]);
  });
});
