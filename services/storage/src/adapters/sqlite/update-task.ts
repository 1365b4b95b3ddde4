import type { UpdateTaskRequest } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { changeLimit } from "../records/update-task.ts";
import type { Batch } from "./batch.ts";

/** See changeLimit. The limit is no part of what is written of an array at the end of a batch. */
export function updateTask(db: Database, batch: Batch, request: UpdateTaskRequest): void {
  const changed = changeLimit(batch, request);
  if (changed !== undefined) db.sql("UPDATE arrays SET max_live = ? WHERE number = ?").run(request.maxLive!, changed);
}
