import { taskNotFound } from "@berth/core";
import { toFailure } from "@berth/contracts";
import type * as api from "@berth/contracts/api";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { FileStoreServiceService, RequestResult, TaskStoreServiceService } from "@berth/contracts/store";
import { Outcome, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import type { GrpcClient } from "@berth/runtime";
import { explainTask } from "./explain.ts";
import type { Submits } from "./submit.ts";
import { watchTasks } from "./watch.ts";
import { ownerFilter, userFilter } from "../domain/caller.ts";
import type { Caller } from "../domain/caller.ts";
import { hidden } from "../domain/hidden-task.ts";
import type { RequestChecks } from "../ports/request-checks.ts";
import { rowToTask, toPublicTask } from "./public-task.ts";

export interface TaskCallsDeps {
  readonly checks: RequestChecks;
  readonly submits: Submits;
  readonly store: GrpcClient<TaskStoreServiceService>;
  readonly files: GrpcClient<FileStoreServiceService>;
  readonly scheduler: GrpcClient<ScheduleServiceService>;
}

const live = [TaskState.PENDING, TaskState.PLACED, TaskState.RUNNING, TaskState.SUSPENDED];

/** The task, if the caller may see it. Throws `not-found` TASK_NOT_FOUND. */
export async function visibleTask(
  store: Pick<GrpcClient<TaskStoreServiceService>, "getTask">,
  taskId: string,
  caller: Caller,
  signal: AbortSignal,
): Promise<Task> {
  const { task } = await store.getTask({ taskId, user: ownerFilter(caller) }, { signal }).catch((error: unknown) => {
    throw hidden(error, taskNotFound(taskId));
  });
  if (!task) throw taskNotFound(taskId);
  return task;
}

/** Another user's task is reported as missing. */
function publicResult(taskId: string, result: RequestResult): api.RequestTasksResult {
  if (result.failure?.code !== "denied") return { taskId, ...result };
  return {
    taskId,
    state: TaskState.UNSPECIFIED,
    outcome: Outcome.UNSPECIFIED,
    failure: toFailure(taskNotFound(taskId)),
  };
}

/** What users do with tasks. */
export function taskCalls({ checks, submits, store, files, scheduler }: TaskCallsDeps) {
  const watchDeps = { store, toTask: rowToTask, now: () => performance.now(), random: Math.random };
  return {
    submitTask: (caller: Caller, request: api.SubmitTaskRequest) => submits.one(caller, request),

    async submitTasks(caller: Caller, request: api.SubmitTasksRequest) {
      checks.submitTasks(request);
      return { results: await submits.many(caller, request.tasks) };
    },

    async getTask(caller: Caller, request: api.GetTaskRequest, signal: AbortSignal) {
      checks.getTask(request);
      return { task: toPublicTask(await visibleTask(store, request.taskId, caller, signal)) };
    },

    async listTasks(caller: Caller, request: api.ListTasksRequest, signal: AbortSignal) {
      checks.listTasks(request);
      const { all, states, outcomes, taskIds } = request;
      const everything = all || outcomes.length > 0 || taskIds.length > 0;
      const page = await store.listTasks(
        {
          ...request,
          user: userFilter(request.user, caller),
          states: states.length > 0 || everything ? states : live,
          pageSize: request.pageSize || 100,
        },
        { signal },
      );
      return { ...page, tasks: page.tasks.map(toPublicTask) };
    },

    watchTasks(caller: Caller, request: api.WatchTasksRequest, signal: AbortSignal) {
      checks.watchTasks(request);
      const { token, taskIds } = request;
      return watchTasks(watchDeps, { token, user: userFilter(request.user, caller), taskIds }, signal);
    },

    async *readLog(caller: Caller, request: api.ReadLogRequest, signal: AbortSignal) {
      checks.readLog(request);
      await visibleTask(store, request.taskId, caller, signal);
      yield* files.readLog(request, { signal });
    },

    async requestTasks(caller: Caller, request: api.RequestTasksRequest, signal: AbortSignal) {
      checks.requestTasks(request);
      const { results } = await store.requestTasks(
        { taskIds: request.taskIds, request: request.request, user: caller.user, admin: caller.admin },
        { signal },
      );
      return { results: results.map((result, at) => publicResult(request.taskIds[at]!, result)) };
    },

    async updateTask(caller: Caller, request: api.UpdateTaskRequest, signal: AbortSignal) {
      checks.updateTask(request);
      await visibleTask(store, request.taskId, caller, signal);
      const { task } = await store.updateTask({ ...request, user: caller.user, admin: caller.admin }, { signal });
      return { task: task && toPublicTask(task) };
    },

    async explainTask(caller: Caller, request: api.ExplainTaskRequest, signal: AbortSignal) {
      checks.explainTask(request);
      const task = await visibleTask(store, request.taskId, caller, signal);
      return { explanation: await explainTask(scheduler, task, signal) };
    },
  };
}
