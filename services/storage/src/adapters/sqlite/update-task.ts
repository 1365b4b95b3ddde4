import { AppError } from "@berth/core";
import type { UpdateTaskRequest } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import type { Batch } from "./batch.ts";

/** Changes what may be changed of a task that is not over. */
export function updateTask(_db: Database, _batch: Batch, request: UpdateTaskRequest): Task {
  throw new AppError("internal", "TODO", `update of ${request.taskId}`);
}
