import { AppError } from "@berth/core";
import { toFailure } from "@berth/contracts";
import type { NewTask, SubmitResult } from "@berth/contracts/store";
import type { FileStore } from "../ports/file-store.ts";
import type { StoredTask, TaskStore } from "../ports/task-store.ts";

/**
 * Stores tasks. Input files are written and synced before their task is stored, so that no reader sees the task without them. After a crash between the two the
 * directory belongs to no task; the next task with that id removes it. Writing files inside the transaction would block all other writes.
 */
export async function submitTasks(
  store: TaskStore,
  files: FileStore,
  tasks: readonly NewTask[],
): Promise<SubmitResult[]> {
  if (tasks.every((task) => !hasFiles(task))) return store.submit(tasks.map((task) => ({ task, number: 0 })));
  const failures = new Map<NewTask, SubmitResult>();
  const prepared: StoredTask[] = [];
  for (const task of tasks) {
    const number = hasFiles(task) ? await store.reserveId() : 0;
    try {
      if (number > 0) await files.createTaskDir(`${number}`, task.runSpec!.spec!.files, task.runSpec!.identity!);
      prepared.push({ task, number });
    } catch (error) {
      await files.clean(`${number}`);
      const known = AppError.from(error);
      // Mostly a full disk: the task is not stored, and a retry may succeed.
      const failure =
        known.code === "internal"
          ? new AppError("unavailable", "FILES_NOT_STORED", "the task's files could not be stored", { cause: error })
          : known;
      failures.set(task, { taskId: "", existing: false, failure: toFailure(failure) });
    }
  }
  const results = await store.submit(prepared);
  const byTask = new Map(prepared.map(({ task, number }, at) => [task, { number, result: results[at]! }]));
  const unused = [...byTask.values()].filter(({ number, result }) => number > 0 && result.taskId !== `${number}`);
  await Promise.all(unused.map(({ number }) => files.clean(`${number}`)));
  return tasks.map((task) => failures.get(task) ?? byTask.get(task)!.result);
}

const hasFiles = (task: NewTask): boolean =>
  (task.runSpec?.spec?.files.length ?? 0) > 0 && task.runSpec?.identity !== undefined;
