import { AppError } from "@berth/core";
import { counter } from "@berth/runtime";
import { expect, it } from "vitest";
import type { TaskStore } from "../../ports/task-store.ts";
import { storeMetrics } from "./store-metrics.ts";

it("counts and tells of plans whose maker does not lead any more, and of no other failure", async () => {
  const told: string[] = [];
  let failure = new AppError("precondition", "STALE_TERM", "the plan is of term 1, the scheduler's term is 2");
  const store = { commitPlan: () => Promise.reject(failure), lastRevision: () => 0 } as unknown as TaskStore & {
    lastRevision(): number;
  };
  const watched = storeMetrics().watched(store, (message) => told.push(message));
  const plan = { term: 1, placements: [], ends: [] };
  const stale = counter("berth_storage_stale_plans_total", "Plans refused because another scheduler leads");
  const before = (await stale.get()).values[0]?.value ?? 0;
  await expect(watched.commitPlan(plan)).rejects.toBe(failure);
  failure = new AppError("unavailable", "COMMIT_FAILED", "no");
  await expect(watched.commitPlan(plan)).rejects.toBe(failure);
  expect(told).toEqual(["the plan is of term 1, the scheduler's term is 2"]);
  expect((await stale.get()).values[0]?.value).toBe(before + 1);
});
