import { invalidField } from "@berth/core";
import type { NewTask, TaskStoreServiceService } from "@berth/contracts/store";
import { isTracing, withSpan } from "@berth/runtime";
import type { ServiceImplementation } from "@berth/runtime";
import { keepTasks } from "../../app/keep-tasks.ts";
import { submitTasks } from "../../app/submit-tasks.ts";
import type { FileStore } from "../../ports/file-store.ts";
import type { TaskStore } from "../../ports/task-store.ts";

/** TaskStoreService: the port speaks its messages, so there is nothing to translate but limits and spans. */
export function taskStoreService(
  store: TaskStore,
  files: FileStore,
  onStuckFiles?: (taskId: string, error: unknown) => void,
): ServiceImplementation<TaskStoreServiceService> {
  const runHousekeeping = keepTasks(store, files, onStuckFiles);
  return {
    async submit({ tasks }) {
      atMost("tasks", tasks.length, 10_000);
      const results = await traced(tasks, () => submitTasks(store, files, tasks));
      return { results };
    },
    commitPlan: (request) => store.commitPlan(request),
    applyReports: (request) => store.applyReports(request),
    requestTasks(request) {
      atMost("task_ids", request.taskIds.length, 10_000);
      return store.request(request);
    },
    acquireLease(request) {
      if (request.name === "" || request.holder === "") throw invalidField("name and holder", "must be given");
      return store.acquireLease(request);
    },
    async releaseLease(request) {
      await store.releaseLease(request);
      return {};
    },
    snapshot: (_, { signal }) => store.snapshot(signal),
    changes: (request, { signal }) => store.changes(request, signal),
    getTask: async (request) => ({ task: await store.get(request) }),
    listTasks: (request) => store.list(request),
    lookUpRuns: (request) => store.lookUpRuns(request),
    syncHosts: (request) => store.syncHosts(request),
    listHosts: () => store.listHosts(),
    countTasks: (request) => store.countTasks(request),
    updateTask: async (request) => ({ task: await store.updateTask(request) }),
    loseRuns(request) {
      if (request.hostId === "") throw invalidField("host_id", "must be given");
      return store.loseRuns(request);
    },
    runHousekeeping: (request) => runHousekeeping(request),
  };
}

function atMost(field: string, length: number, limit: number): void {
  if (length > limit) throw invalidField(field, `must be at most ${limit}`);
}

/** One call may carry tasks of several submits: adds a span to the trace of each submit. */
async function traced<T>(tasks: readonly NewTask[], fn: () => Promise<T>): Promise<T> {
  if (!isTracing()) return fn();
  const parents = new Set(tasks.map((task) => task.runSpec?.traceParent ?? "").filter((parent) => parent !== ""));
  const done = fn();
  await Promise.allSettled([...parents].map((parent) => withSpan("storage submit", { parent }, () => done)));
  return done;
}
