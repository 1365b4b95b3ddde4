import { AppError, parseTaskId } from "@berth/core";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { ServiceImplementation } from "@berth/runtime";
import type { Scheduler } from "../../app/scheduler.ts";

/** Answers from the leader's own memory. */
export const scheduleService = (
  scheduler: Pick<Scheduler, "explain" | "largestHosts">,
): ServiceImplementation<typeof ScheduleServiceService> => ({
  listLargestHosts: async () => ({ capacities: scheduler.largestHosts() }),
  explain: async ({ taskId }) => {
    const found = scheduler.explain(parseTaskId(taskId));
    if (!found)
      throw new AppError("not-found", "NOT_PENDING", `task ${taskId} does not wait for the scheduler`, {
        metadata: { taskId },
      });
    return { explanation: { taskId, ...found, refusals: [...found.refusals], waitsFor: [...found.waitsFor] } };
  },
});
