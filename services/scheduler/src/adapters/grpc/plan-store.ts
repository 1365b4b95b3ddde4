import { isTerminal } from "@berth/core";
import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { AssignRequest } from "@berth/contracts/agent";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { followFeed } from "@berth/runtime";
import type { GrpcClient, Logger } from "@berth/runtime";
import type { FeedRow } from "../../domain/feed.ts";
import type { PlanStore } from "../../ports/plan-store.ts";
import { planToWire, rowFromWire } from "../codec.ts";

const leaseName = "scheduler";
const commitDeadlineMs = 5_000;

/** Storage over gRPC. `holder` is this process, for its whole life. */
export function grpcPlanStore(
  store: GrpcClient<typeof TaskStoreServiceService>,
  holder: string,
  logger: Logger,
): PlanStore<AssignRequest> {
  return {
    // Half its life: if a copy of storage does not answer, another is asked before the lease ends.
    acquireLease: (ttlMs, signal) =>
      store.acquireLease({ name: leaseName, holder, ttlMs }, { signal, deadlineMs: ttlMs / 2 }),

    async releaseLease() {
      await store.releaseLease({ name: leaseName, holder }, { deadlineMs: 1_000 });
    },

    follow: (reader, signal) =>
      followFeed({
        store,
        logger,
        signal,
        reader: {
          onStart: () => reader.onStart(),
          onChanges: (changes) =>
            reader.onRows(changes.map(rowFromWire).filter((row): row is FeedRow => row !== undefined)),
          onCaughtUp: () => reader.onCaughtUp(),
        },
      }),

    async commit(term, plan, signal) {
      const { placementRefusals, endRefusals, assignments } = await store.commitPlan(planToWire(term, plan), {
        signal,
        deadlineMs: commitDeadlineMs,
      });
      return {
        placementRefusals,
        endRefusals,
        assignments: assignments.flatMap(({ hostId, assign }) => (assign ? [{ hostId, message: assign }] : [])),
      };
    },

    async outcomes(taskIds, signal) {
      const { tasks } = await store.listTasks(
        {
          user: "",
          states: [],
          outcomes: [],
          name: "",
          arrayId: "",
          pageSize: taskIds.length,
          pageToken: "",
          taskIds: [...taskIds],
        },
        { signal },
      );
      const found = new Map(tasks.map((task) => [task.id, task]));
      return taskIds.map((taskId) => {
        const task = found.get(taskId);
        const state = task && stateFromWire(task.state);
        return {
          taskId,
          live: state !== undefined && !isTerminal(state),
          outcome: task && outcomeFromWire(task.outcome),
        };
      });
    },
  };
}
