import type { Database } from "@berth/database";
import type { Step } from "../../ports/task-store.ts";
import type { Batch } from "./batch.ts";

/** Tasks and whole arrays that ended before, and are not archived. */
export function expired(_db: Database, _before: number, _limit: number): string[] {
  return [];
}

/** Marks ended tasks as archived. */
export function archive(_db: Database, _batch: Batch, _taskIds: readonly string[]): number {
  return 0;
}

/** Deletes records of archived tasks that ended before. */
export function deleteRecords(_db: Database, _batch: Batch, _before: number, _limit: number): Step {
  return { done: 0, more: false };
}
