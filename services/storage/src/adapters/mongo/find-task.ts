import { RunSpec } from "@berth/contracts/types";
import type { Attempt, Task } from "@berth/contracts/types";
import { overCode, wireOutcome } from "../records/codes.ts";
import { isUnreadable, recordUnreadable, shownRow, toReason } from "../records/damage.ts";
import { readId } from "../records/task-life.ts";
import { shortMessage, unrecordedRow, usageOf } from "../records/task-message.ts";
import type { Found } from "../records/task-message.ts";
import type { Batch } from "./batch.ts";
import { taskKey } from "./collections.ts";
import { NotLoaded } from "./needs.ts";
import type { Needs } from "./needs.ts";

export function findNeeds(needs: Needs, taskId: string): void {
  const id = readId(taskId);
  if (id) needs.task(id.number, id.idx);
}

/**
 * The record of a task, an array or an element, made up where an element has none; undefined where there is no such task. Of a damaged one what can be read, with
 * RECORD_UNREADABLE as its reason. Throws that for an element whose array is damaged.
 */
export function findTask(batch: Batch, taskId: string): Found | undefined {
  const id = readId(taskId);
  if (!id) return undefined;
  try {
    return findSound(batch, id.number, id.idx);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const found = batch.salvaged(id.number, id.idx);
    if (!found || found.faults.length === 0) throw error;
    return { row: shownRow(found), spec: found.spec, array: found.array };
  }
}

function findSound(batch: Batch, number: number, idx: number): Found | undefined {
  const spec = batch.spec(number);
  if (!spec || (idx >= 0 && spec.is_array === 0)) return undefined;
  const recorded = batch.task(number, idx);
  const array = spec.is_array === 1 && (idx < 0 || !recorded) ? batch.array(number) : undefined;
  if (recorded) return { row: recorded, spec, array };
  const row = array && unrecordedRow(array, batch.task(number, -1)!, idx);
  return row && { row, spec, array: undefined };
}

export function wholeNeeds(needs: Needs, taskId: string): void {
  findNeeds(needs, taskId);
  const id = readId(taskId);
  if (!id) return;
  needs.runSpecs.add(id.number);
  needs.history.add(taskKey(id.number, id.idx));
}

/** The same with everything: the spec as it was given, mounts and earlier attempts. */
export function wholeMessage(batch: Batch, found: Found): Task {
  const { row } = found;
  const attempts = batch.history(row.number, row.idx).map((earlier): Attempt => ({
    attempt: earlier.attempt,
    hostId: earlier.host,
    outcome: wireOutcome(earlier.outcome),
    reason: { code: earlier.reason_code, message: earlier.reason_message },
    endTime: new Date(earlier.ended_at),
    usage: usageOf(earlier),
  }));
  const short = shortMessage(found);
  try {
    const { spec, identity, mounts } = RunSpec.decode(batch.encodedSpec(row.number));
    return { ...short, spec, identity, mounts, attempts };
  } catch (error) {
    if (error instanceof NotLoaded) throw error;
    const reason = toReason(isUnreadable(error) ? error : recordUnreadable(row.number, row.idx, "run_spec", error));
    return { ...short, ...(row.state < overCode ? { reason } : {}), attempts };
  }
}
