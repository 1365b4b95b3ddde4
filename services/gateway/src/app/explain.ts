import { AppError, splitTaskId } from "@berth/core";
import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { Explanation, ScheduleServiceService } from "@berth/contracts/schedule";
import type { Task } from "@berth/contracts/types";
import type { GrpcClient } from "@berth/runtime";

/** Why a task waits, as the planner says. Throws `precondition` NOT_PENDING, with its state, if it does not wait. */
export async function explainTask(
  scheduler: Pick<GrpcClient<ScheduleServiceService>, "explain">,
  task: Task,
  signal: AbortSignal,
): Promise<Explanation> {
  const state = stateFromWire(task.state);
  // Elements of an array may wait while others run.
  const waiting = (task.progress?.unclaimed ?? 0) + (task.progress?.waiting ?? 0);
  const ended = state === "over" || state === "archived";
  if (state !== "pending" && (ended || waiting === 0)) {
    const outcome = outcomeFromWire(task.outcome);
    const metadata = {
      state: state ?? "unknown",
      ...(outcome ? { outcome } : {}),
      ...(task.hostId ? { host: task.hostId } : {}),
    };
    throw new AppError(
      "precondition",
      "NOT_PENDING",
      notPending(task, state ?? "in a state that this gateway does not know"),
      { metadata },
    );
  }
  const { number, index } = splitTaskId(task.id);
  const asked =
    (await ask(scheduler, task.id, signal)) ??
    (index === undefined ? undefined : await ask(scheduler, String(number), signal));
  return (
    asked ?? {
      taskId: task.id,
      code: "NOT_LOOKED_AT_YET",
      message: "the scheduler has not looked at it yet",
      position: 0,
      pending: 0,
      refusals: [],
      waitsFor: [],
    }
  );
}

/** Undefined if the planner does not have it as pending: it is too new, or was just placed. */
async function ask(
  scheduler: Pick<GrpcClient<ScheduleServiceService>, "explain">,
  taskId: string,
  signal: AbortSignal,
): Promise<Explanation | undefined> {
  try {
    return (await scheduler.explain({ taskId }, { signal })).explanation;
  } catch (error) {
    if (AppError.from(error).code === "not-found") return undefined;
    throw error;
  }
}

function notPending(task: Task, state: string): string {
  if (state === "over" || state === "archived")
    return `${task.id} does not wait: it is over, ${outcomeFromWire(task.outcome) ?? "with an unknown outcome"}`;
  return `${task.id} does not wait: it is ${state}${task.hostId ? ` on ${task.hostId}` : ""}`;
}
