import { AppError } from "@berth/core";
import type { ChangesResponse, CommitPlanRequest, CommitPlanResponse } from "@berth/contracts/store";
import { counter, gauge, histogram } from "@berth/runtime";
import { parseToken } from "../../domain/feed-token.ts";
import type { TaskStore } from "../../ports/task-store.ts";

type Watched = TaskStore & { lastRevision(): number };

/** What an operator wants to see of the store: commits, and how far readers of the feed are behind. */
export function storeMetrics() {
  const seconds = histogram("berth_storage_commit_seconds", "Time of a durable commit");
  let commits = 0;
  let calls = 0;
  gauge("berth_storage_commits", "Durable commits since the start", () => commits);
  gauge("berth_storage_committed_calls", "Calls in them; by commits: how many share one", () => calls);
  const retries = { conflict: 0, unknown: 0 };
  gauge("berth_storage_write_conflicts", "Writes that waited for another copy's", () => retries.conflict);
  gauge("berth_storage_unknown_commits", "Commits whose end had to be read back", () => retries.unknown);
  const stale = counter("berth_storage_stale_plans_total", "Plans refused because another scheduler leads");
  const readers = new Set<{ seen: number }>();

  return {
    onCommit(items: number, ms: number): void {
      commits += 1;
      calls += items;
      seconds.observe(ms / 1000);
    },

    onRetry(why: "conflict" | "unknown"): void {
      retries[why] += 1;
    },

    /** The same store, whose feed readers are counted, and the plans that it refuses because their maker does not lead any more. */
    watched(store: Watched, onStalePlan: (message: string) => void): TaskStore {
      gauge("berth_storage_feed_readers", "Readers of the change feed", () => readers.size);
      gauge("berth_storage_feed_lag_rows", "How many rows the slowest reader is behind", () =>
        Math.max(0, ...[...readers].map(({ seen }) => store.lastRevision() - seen)),
      );
      async function* changes(...[request, signal]: Parameters<TaskStore["changes"]>): AsyncGenerator<ChangesResponse> {
        const reader = { seen: parseToken(request.token)?.seq ?? 0 };
        readers.add(reader);
        try {
          for await (const part of store.changes(request, signal)) {
            yield part; // taken only when the reader comes for the next
            reader.seen = parseToken(part.token)?.seq ?? reader.seen;
          }
        } finally {
          readers.delete(reader);
        }
      }
      async function commitPlan(plan: CommitPlanRequest): Promise<CommitPlanResponse> {
        try {
          return await store.commitPlan(plan);
        } catch (error) {
          if (error instanceof AppError && error.reason === "STALE_TERM") {
            stale.inc();
            onStalePlan(error.message);
          }
          throw error;
        }
      }
      return { ...store, changes, commitPlan };
    },
  };
}
