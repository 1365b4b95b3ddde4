import { AppError, taskNotFound, taskNotYours, invalidField } from "@berth/core";
import type { UpdateTaskRequest } from "@berth/contracts/store";
import { overCode } from "./record/codes.ts";
import type { SpecColumns } from "./record/columns.ts";
import { readId } from "./record/task-life.ts";

/** The part of `Records` that an update uses. */
interface Open {
  spec(number: number): Pick<SpecColumns, "user" | "is_array"> | undefined;
  array(number: number): { readonly state: number; maxLive: number; dirty: boolean } | undefined;
}

/**
 * Changes how many elements of an array may run at once, as long as it is not over. The limit is stored beside the spec, which does not change.
 * Returns the number of the array if it changed. Throws `not-found`, `denied`, `invalid` or `precondition`.
 */
export function changeLimit(batch: Open, { taskId, user, admin, maxLive }: UpdateTaskRequest): number | undefined {
  const metadata = { task_id: taskId };
  const id = readId(taskId);
  const spec = id && batch.spec(id.number);
  if (!spec) throw taskNotFound(taskId);
  if (spec.user !== user && !admin) throw taskNotYours(taskId);
  if (maxLive === undefined) return undefined;
  if (!Number.isSafeInteger(maxLive) || maxLive < 0) throw invalidField("max_live", "must be 0 (no limit) or more");
  const array = id.idx < 0 && spec.is_array === 1 ? batch.array(id.number) : undefined;
  if (!array)
    throw new AppError("invalid", "NOT_AN_ARRAY", `${taskId} is not an array: it has no elements to limit`, {
      metadata,
    });
  if (array.state >= overCode) throw new AppError("precondition", "NOT_LIVE", `array ${taskId} is over`, { metadata });
  if (array.maxLive === maxLive) return undefined;
  array.maxLive = maxLive;
  array.dirty = true;
  return id.number;
}
