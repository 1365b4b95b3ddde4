import { arraySize } from "@berth/core";
import { overCode, stateCode } from "./record/codes.ts";
import { unlessUnreadable } from "./record/damage.ts";
import { readId } from "./record/task-life.ts";
import type { Foreseen, Records } from "../ports/records.ts";

const archivedCode = stateCode("archived");

export function foreseeArchive(look: Foreseen, taskId: string): void {
  const id = readId(taskId);
  if (id && id.idx < 0) look.task(id.number, -1);
}

/** Marks an ended task as archived, an array with all its elements once they are folded. Answers whether it was not before. */
export function archiveOne(records: Records, taskId: string): boolean {
  const id = readId(taskId);
  if (!id || id.idx >= 0) return false;
  const sound = unlessUnreadable(() => whole(records, id.number)) ?? repaired(records, id.number);
  if (sound?.row?.state !== overCode || !sound.spec || !records.isSettled(id.number)) return false;
  const { row, spec, array } = sound;
  records.announce({ ...row, state: archivedCode }, spec, array);
  records.sums.moved(spec.user, overCode, archivedCode, array ? arraySize(array.range) : 1);
  return true;
}

function whole(records: Records, number: number) {
  const spec = records.spec(number);
  return { spec, row: records.task(number, -1), array: spec?.is_array === 1 ? records.array(number) : undefined };
}

/** A damaged record that is over is replaced by what can be read of it; one that may live stays until a kill ends it. */
function repaired(records: Records, number: number) {
  const found = records.salvaged(number, -1);
  if (found?.row.state !== overCode) return undefined;
  records.replace(found.row, found.spec, found.array);
  return whole(records, number);
}

export function foreseeDelete(look: Foreseen, number: number): void {
  look.task(number, -1);
  look.removal(number);
}

/** Deletes an archived task's records and its client key, unless a pending task waits for its outcome. Answers whether it did. */
export function deleteOne(records: Records, number: number): boolean {
  const spec = unlessUnreadable(() => records.spec(number));
  // Another store may have deleted it since it was found. A damaged record was archived all the same: it was found by that.
  const row = spec && unlessUnreadable(() => records.task(number, -1) ?? "none");
  if (!spec || row === "none" || (row && row.state !== archivedCode) || records.isWaitedFor(number)) return false;
  const array = spec.is_array === 1 ? unlessUnreadable(() => records.array(number)) : undefined;
  records.remove(spec);
  records.sums.moved(spec.user, archivedCode, 0, array ? arraySize(array.range) : 1);
  return true;
}
