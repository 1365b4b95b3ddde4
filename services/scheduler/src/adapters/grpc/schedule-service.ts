import { AppError, parseTaskId } from "@berth/core";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { ServiceImplementation } from "@berth/runtime";
import type { Explanation } from "../../domain/explain.ts";

/** Answers from the leader's own memory. */
export const scheduleService = (
  explain: (taskId: string) => Explanation | undefined,
): ServiceImplementation<typeof ScheduleServiceService> => ({
  explain: async ({ taskId }) => {
    const found = explain(parseTaskId(taskId));
    if (!found)
      throw new AppError("not-found", "NOT_PENDING", `task ${taskId} does not wait for the scheduler`, {
        metadata: { taskId },
      });
    return { explanation: { taskId, ...found, refusals: [...found.refusals], waitsFor: [...found.waitsFor] } };
  },
});
