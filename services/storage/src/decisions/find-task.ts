import { RunSpec } from "@berth/contracts/types";
import type { Attempt, Task } from "@berth/contracts/types";
import { overCode, wireOutcome } from "./record/codes.ts";
import { isUnreadable, recordUnreadable, shownRow, toReason, unlessUnreadable } from "./record/damage.ts";
import { readId } from "./record/task-life.ts";
import { shortMessage, unrecordedRow, usageOf } from "./record/task-message.ts";
import type { Found } from "./record/task-message.ts";
import type { Foreseen, Records } from "../ports/records.ts";

export function foreseeFind(look: Foreseen, taskId: string): void {
  const id = readId(taskId);
  if (id) look.task(id.number, id.idx);
}

/**
 * The record of a task, an array or an element; computed for an element that has none; undefined if there is no such task. A damaged record is shown as far as it can
 * be read, with reason RECORD_UNREADABLE. Throws RECORD_UNREADABLE for an element whose array is damaged.
 */
export function findTask(records: Records, taskId: string): Found | undefined {
  const id = readId(taskId);
  if (!id) return undefined;
  try {
    return findSound(records, id.number, id.idx);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const found = records.salvaged(id.number, id.idx);
    if (!found || found.faults.length === 0) throw error;
    return { row: shownRow(found), spec: found.spec, array: found.array };
  }
}

function findSound(records: Records, number: number, idx: number): Found | undefined {
  const spec = records.spec(number);
  if (!spec || (idx >= 0 && spec.is_array === 0)) return undefined;
  const recorded = records.task(number, idx);
  const array = spec.is_array === 1 && (idx < 0 || !recorded) ? records.array(number) : undefined;
  if (recorded) return { row: recorded, spec, array };
  const row = array && unrecordedRow(array, records.task(number, -1)!, idx);
  return row && { row, spec, array: undefined };
}

export function foreseeWhole(look: Foreseen, taskId: string): void {
  foreseeFind(look, taskId);
  const id = readId(taskId);
  if (id) look.runSpec(id.number);
}

/** The whole task: with the spec as submitted, mounts and earlier attempts. */
export function wholeMessage(records: Records, found: Found): Task {
  const { row } = found;
  records.foresee((look) => look.attempts(row, row.attempt));
  // Includes the current attempt: if it was given up, its late usage is recorded there.
  const attempts = (unlessUnreadable(() => records.attemptsBefore(row, row.attempt + 1)) ?? []).map(
    (earlier): Attempt => ({
      attempt: earlier.attempt,
      hostId: earlier.host,
      outcome: wireOutcome(earlier.outcome),
      reason: { code: earlier.reason_code, message: earlier.reason_message },
      endTime: new Date(earlier.ended_at),
      usage: usageOf(earlier),
    }),
  );
  const short = shortMessage(found);
  const given = unlessUnreadable(() => records.encodedSpec(row.number));
  if (!given) return { ...short, attempts };
  try {
    const { spec, identity, mounts } = RunSpec.decode(given);
    return { ...short, spec, identity, mounts, attempts };
  } catch (error) {
    const reason = toReason(recordUnreadable(row.number, row.idx, "run_spec", error));
    return { ...short, ...(row.state < overCode ? { reason } : {}), attempts };
  }
}
