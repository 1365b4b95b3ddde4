import { isTaskId } from "./task-id.ts";
import type { TaskId } from "./task-id.ts";

/** One attempt of one task in one life of the database. */
export interface Run {
  readonly epoch: string;
  readonly taskId: TaskId | string;
  readonly attempt: number;
}

/** Whether it can be one at all: what another process says of a run is looked at before it becomes part of a key, a path or what people read. */
export const isSoundRun = ({ epoch, taskId, attempt }: Run): boolean =>
  /^[A-Za-z0-9_-]{1,64}$/.test(epoch) && isTaskId(taskId) && Number.isSafeInteger(attempt) && attempt >= 1;

/** Tells runs apart everywhere; also the journal's key. */
export const runKey = (run: Run): string => `${run.epoch}/${run.taskId}/${run.attempt}`;

/** Name of the run's container and process: token-safe, and distinct between epochs of one cluster for all practical purposes. */
export const runName = (run: Run): string => `berth-${epochShort(run.epoch)}-${run.taskId}-${run.attempt}`;

/** Last 8 characters of the epoch: of a UUIDv7 the random part, the first ones being its time. */
export const epochShort = (epoch: string): string => epoch.replaceAll("-", "").slice(-8);
