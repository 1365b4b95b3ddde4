import { RunSpec } from "@berth/contracts/types";
import type { Attempt, Task } from "@berth/contracts/types";
import { wireOutcome } from "../records/codes.ts";
import type { TaskColumns } from "../records/columns.ts";
import { readId } from "../records/task-life.ts";
import { taskMessage, unrecordedRow, usageOf } from "../records/task-message.ts";
import type { Batch } from "./batch.ts";
import { taskKey } from "./collections.ts";
import type { SpecDoc } from "./spec-doc.ts";
import type { Needs } from "./needs.ts";

export interface Found {
  readonly row: TaskColumns;
  readonly spec: SpecDoc;
}

export function findNeeds(needs: Needs, taskId: string): void {
  const id = readId(taskId);
  if (id) needs.task(id.number, id.idx);
}

/** The record of a task, an array or an element, made up where an element has none; undefined where there is no such task. */
export function findTask(batch: Batch, taskId: string): Found | undefined {
  const id = readId(taskId);
  const spec = id && batch.spec(id.number);
  if (!spec || (id.idx >= 0 && spec.is_array === 0)) return undefined;
  const recorded = batch.task(id.number, id.idx);
  if (recorded) return { row: recorded, spec };
  const array = batch.array(id.number);
  const row = array && unrecordedRow(array, batch.task(id.number, -1)!, id.idx);
  return row && { row, spec };
}

export const shortMessage = (batch: Batch, { row, spec }: Found): Task =>
  taskMessage(row, spec, spec.is_array === 1 && row.idx < 0 ? batch.array(spec.number) : undefined);

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
  const runSpec = RunSpec.decode(batch.encodedSpec(row.number));
  const attempts = batch.history(row.number, row.idx).map((earlier): Attempt => ({
    attempt: earlier.attempt,
    hostId: earlier.host,
    outcome: wireOutcome(earlier.outcome),
    reason: { code: earlier.reason_code, message: earlier.reason_message },
    endTime: new Date(earlier.ended_at),
    usage: usageOf(earlier),
  }));
  const { spec, identity, mounts } = runSpec;
  return { ...shortMessage(batch, found), spec, identity, mounts, attempts };
}
