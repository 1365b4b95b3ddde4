import { MiB } from "@berth/core";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { later, fixedRandom, plan, queueOf, tasks } from "../testing/cycles.ts";
import { planCycle, policyWith } from "./cycle.ts";
import type { TaskFacts } from "./feed.ts";
import { brokenInvariant } from "./invariants.ts";

describe("planCycle, ends", () => {
  it("ends what asks for more than any host has, once the hosts have been known for a while", () => {
    const needs = { cpuMilli: 64_000, memoryBytes: 256 * MiB };
    const queue = queueOf(aTaskRow("1", { needs }), aTaskRow("2"));
    expect(plan(queue).ends).toEqual([]);
    queue.apply(aHostRow("h1"), later - 1000);
    expect(plan(queue).ends).toEqual([]);
    const { ends } = planCycle(queue, policyWith(fifoRanking()), later + 10_000, fixedRandom);
    expect(ends.map(({ record, outcome, reason }) => [record.id, outcome, reason.code])).toEqual([
      ["1", "rejected", "NO_HOST_LARGE_ENOUGH"],
    ]);
  });

  it("starts a child when its parent ended, and ends it at once when that can never be", () => {
    const needs = (taskId: string, kind: "after" | "afterok") => ({ dependencies: [{ kind, taskId }] });
    const queue = queueOf(
      aHostRow("h1"),
      aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" }),
      aTaskRow("2", needs("1", "after")),
      aTaskRow("3", needs("1", "afterok")),
      aTaskRow("4", needs("3", "after")),
    );
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aTaskRow("1", { state: "over", attempt: 1, outcome: "failed" }), later);
    const made = plan(queue);
    expect(tasks(made)).toEqual(["2"]);
    expect(made.ends.map(({ record, outcome, reason }) => [record.id, outcome, reason.code])).toEqual([
      ["3", "dependency_failed", "DEPENDENCY_FAILED"],
    ]);
    expect(made.ends[0]!.reason.message).toContain("task 1");
    queue.hold(made);
    expect(plan(queue).ends).toEqual([]);
    queue.apply(aTaskRow("3", { state: "over", outcome: "dependency_failed" }), later);
    expect(tasks(plan(queue))).toEqual(["4"]);
  });

  it("plans an end again that storage refused without saying why", () => {
    const failed: Partial<TaskFacts> = { state: "over", attempt: 1, outcome: "failed" };
    const waits: Partial<TaskFacts> = { dependencies: ["9", "10"].map((taskId) => ({ kind: "afterok", taskId })) };
    const rows = [aTaskRow("9"), aTaskRow("9", failed), aTaskRow("1", waits), aTaskRow("10", { priority: -1 })];
    const queue = queueOf(aHostRow("h1"), ...rows, aTaskRow("2", { needs: { cpuMilli: 64_000, memoryBytes: 1 } }));
    const made = plan(queue);
    expect(made.ends.map(({ record }) => record.id).toSorted()).toEqual(["1", "2"]);
    queue.hold(made);
    queue.settle(made, { placementRefusals: [""], endRefusals: ["NOT_PENDING", "NOT_PENDING"] }, later);
    expect(brokenInvariant(queue)).toBeUndefined();
    expect(plan(queue).ends).toEqual([]);
    queue.tick(later + 1000);
    expect(plan(queue).ends).toHaveLength(2);
  });
});
