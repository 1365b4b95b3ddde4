import { AppError } from "@berth/core";

/** What is said of a task that is not there. */
export const noTask = (taskId: string): AppError =>
  new AppError("not-found", "TASK_NOT_FOUND", `no task ${taskId}`, { metadata: { task_id: taskId } });

export const noDependency = (taskId: string): AppError =>
  new AppError("not-found", "DEPENDENCY_NOT_FOUND", `there is no task ${taskId} to wait for`, {
    metadata: { task_id: taskId },
  });

/** The same is said of a task that is another's, so that ids tell nothing: `denied` of the store becomes `absent`. */
export function hidden(thrown: unknown, absent: AppError): AppError {
  const error = AppError.from(thrown);
  return error.code === "denied" || error.code === "not-found" ? absent : error;
}
