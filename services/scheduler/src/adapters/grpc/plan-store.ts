import { AppError, isTerminal } from "@berth/core";
import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import { followFeed, readableRows, splitOnFailure } from "@berth/runtime";
import type { FollowOptions, GrpcClient } from "@berth/runtime";
import type { End, Placement, Plan } from "../../domain/plan.ts";
import { cannotStore } from "../../domain/queue.ts";
import type { Assignments, PlanStore } from "../../ports/plan-store.ts";
import { planToWire, rowFromWire } from "../codec.ts";

const leaseName = "scheduler";
const commitDeadlineMs = 5_000;

const isPlacement = (item: Placement | End): item is Placement => "host" in item;
const idOf = (item: Placement | End): string => (isPlacement(item) ? item.taskId : item.record.id);
const isEnd = (item: Placement | End): item is End => !isPlacement(item);

/** Storage over gRPC. `holder` is this process, for its whole life. */
export function grpcPlanStore(
  store: GrpcClient<typeof TaskStoreServiceService>,
  holder: string,
  { logger, setAside, problems }: Pick<FollowOptions, "logger" | "setAside" | "problems">,
): PlanStore {
  let failedAlone: string | undefined;
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
        setAside,
        problems,
        urgent: true,
        signal,
        reader: {
          onStart: () => reader.onStart(),
          onChanges: (changes) => reader.onRows(readableRows(changes, rowFromWire, setAside)),
          onCaughtUp: () => reader.onCaughtUp(),
        },
      }),

    async commit(term, plan, signal) {
      const assignments: Assignments[] = [];
      const commit = async (parts: Pick<Plan, "placements" | "ends">) => {
        const answer = await store.commitPlan(planToWire(term, parts), { signal, deadlineMs: commitDeadlineMs });
        for (const { hostId, assign } of answer.assignments) if (assign) assignments.push({ hostId, message: assign });
        return [...answer.placementRefusals, ...answer.endRefusals];
      };
      // In the plan's order. If storage cannot store an item, it is committed without the rest of the plan.
      const items = [...plan.placements, ...plan.ends];
      const refusals = await splitOnFailure(items, (some) =>
        commit({ placements: some.filter(isPlacement), ends: some.filter(isEnd) }),
      ).catch((thrown: unknown) => {
        // If a plan with one item fails twice in a row, that item is taken for the cause.
        const error = AppError.from(thrown);
        const id = items.length === 1 && error.code === "internal" ? idOf(items[0]!) : undefined;
        if (id === undefined || id !== failedAlone) {
          failedAlone = id;
          throw error;
        }
        return [error];
      });
      const codes = refusals.map((refusal, at) => {
        if (typeof refusal === "string") return refusal;
        setAside.add(idOf(items[at]!), refusal);
        return cannotStore;
      });
      return {
        placementRefusals: codes.slice(0, plan.placements.length),
        endRefusals: codes.slice(plan.placements.length),
        assignments,
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
