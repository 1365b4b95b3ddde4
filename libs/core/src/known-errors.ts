import { AppError } from "./errors.ts";

/** Makers of the errors that several places throw: each has one code, one reason and one sentence. */

/** There is no such task. Also thrown for another user's task where the caller must not learn that it exists. */
export const taskNotFound = (taskId: string): AppError =>
  new AppError("not-found", "TASK_NOT_FOUND", `there is no task ${taskId}`, { metadata: { task_id: taskId } });

/** The task is another user's. The gateway hides this from users as `taskNotFound`. */
export const taskNotYours = (taskId: string): AppError =>
  new AppError("denied", "NOT_YOURS", `task ${taskId} belongs to another user`, { metadata: { task_id: taskId } });

/** A new task is to wait for a task that does not exist. */
export const dependencyNotFound = (taskId: string): AppError =>
  new AppError("not-found", "DEPENDENCY_NOT_FOUND", `there is no task ${taskId} to wait for`, {
    metadata: { task_id: taskId },
  });

/** No host of that name ever joined the cluster. */
export const hostNotFound = (hostId: string): AppError =>
  new AppError("not-found", "HOST_NOT_FOUND", `there is no host ${hostId}`, { metadata: { host_id: hostId } });

/** A queue is at its limit. `what` waits in it, such as "writes". */
export const queueFull = (what: string, limit: number): AppError =>
  new AppError("unavailable", "QUEUE_FULL", `${limit} ${what} wait already`);

/** The store takes no more writes, because its process ends. */
export const storageClosed = (): AppError =>
  new AppError("unavailable", "STORAGE_CLOSED", "the storage is shutting down");

/** The transaction was rolled back: nothing of it is stored. */
export const commitFailed = (cause: unknown): AppError =>
  new AppError("unavailable", "COMMIT_FAILED", "the database could not commit", { cause });

/** The database cannot be reached. The call may be made again. */
export const databaseUnavailable = (cause: unknown): AppError =>
  new AppError("unavailable", "DATABASE_UNAVAILABLE", "the database does not answer", { cause });

/** `who` did not answer in time (`limitMs`, where it is known). Whether the call took effect is unknown. */
export const deadlineExceeded = (
  who: string,
  { limitMs, metadata }: { readonly limitMs?: number; readonly metadata?: Readonly<Record<string, string>> } = {},
): AppError =>
  new AppError(
    "unavailable",
    "DEADLINE_EXCEEDED",
    `${who} did not answer ${limitMs === undefined ? "in time" : `within ${limitMs} ms`}`,
    { metadata: metadata ?? {} },
  );

/** A service's answer lacks something that it always has: a fault of that service. */
export const badAnswer = (service: string, missing: string): AppError =>
  new AppError("internal", "BAD_ANSWER", `${service} left out ${missing}`);
