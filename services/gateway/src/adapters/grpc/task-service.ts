import { toFailure } from "@berth/contracts";
import type { RequestTasksResult, TaskServiceService } from "@berth/contracts/api";
import type { ScheduleServiceService } from "@berth/contracts/schedule";
import type { FileStoreServiceService, RequestResult, TaskStoreServiceService } from "@berth/contracts/store";
import { Outcome, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import type { GrpcClient, ServiceImplementation } from "@berth/runtime";
import { explainTask } from "../../app/explain.ts";
import type { Submits } from "../../app/submit.ts";
import { watchTasks } from "../../app/watch.ts";
import { ownerFilter, userFilter } from "../../domain/caller.ts";
import type { Caller } from "../../domain/caller.ts";
import { hidden, noTask } from "../../domain/hidden-task.ts";
import { check } from "../checks/check.ts";
import * as rules from "../checks/requests.ts";
import type { CallerContext } from "./access-middleware.ts";
import { rowToTask, toPublicTask } from "./task-codec.ts";

export interface TaskServiceDeps {
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
    throw hidden(error, noTask(taskId));
  });
  if (!task) throw noTask(taskId);
  return task;
}

/** Another's task is as if it were not there. */
function publicResult(taskId: string, result: RequestResult): RequestTasksResult {
  if (result.failure?.code !== "denied") return { taskId, ...result };
  return { taskId, state: TaskState.UNSPECIFIED, outcome: Outcome.UNSPECIFIED, failure: toFailure(noTask(taskId)) };
}

export function taskService({
  submits,
  store,
  files,
  scheduler,
}: TaskServiceDeps): ServiceImplementation<TaskServiceService, CallerContext> {
  const watchDeps = { store, toTask: rowToTask, now: () => performance.now(), random: Math.random };
  return {
    submitTask: (request, { caller }) => submits.one(caller, request),

    async submitTasks(request, { caller }) {
      check(rules.submitTasks, request);
      return { results: await submits.many(caller, request.tasks) };
    },

    async getTask(request, { caller, signal }) {
      check(rules.byTaskId, request);
      return { task: toPublicTask(await visibleTask(store, request.taskId, caller, signal)) };
    },

    async listTasks(request, { caller, signal }) {
      check(rules.listTasks, request);
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

    watchTasks(request, { caller, signal }) {
      check(rules.watchTasks, request);
      return watchTasks(
        watchDeps,
        { token: request.token, user: userFilter(request.user, caller), taskIds: request.taskIds },
        signal,
      );
    },

    async *readLog(request, { caller, signal }) {
      check(rules.readLog, request);
      await visibleTask(store, request.taskId, caller, signal);
      yield* files.readLog(request, { signal });
    },

    async requestTasks(request, { caller, signal }) {
      check(rules.requestTasks, request);
      const { results } = await store.requestTasks(
        { taskIds: request.taskIds, request: request.request, user: caller.user, admin: caller.admin },
        { signal },
      );
      return { results: results.map((result, at) => publicResult(request.taskIds[at]!, result)) };
    },

    async updateTask(request, { caller, signal }) {
      check(rules.updateTask, request);
      await visibleTask(store, request.taskId, caller, signal);
      const { task } = await store.updateTask({ ...request, user: caller.user, admin: caller.admin }, { signal });
      return { task: task && toPublicTask(task) };
    },

    async explainTask(request, { caller, signal }) {
      check(rules.byTaskId, request);
      return {
        explanation: await explainTask(scheduler, await visibleTask(store, request.taskId, caller, signal), signal),
      };
    },
  };
}
