import { arraySize, hasIndex, killedReason, remainingFrom } from "@berth/core";
import type { ArrayRange, Outcome, Reason } from "@berth/core";

/** An array's progress. Changed in place during a transaction, written once at its end. */
export interface ArrayRecord {
  readonly range: ArrayRange;
  /** At most this many elements run at once; 0: no limit. */
  maxLive: number;
  /** Next index to be claimed; beyond `range.last` when none is left. Only grows. */
  cursor: number;
  /** Elements at or beyond the cursor that have a record already (killed singly): the cursor steps over them. */
  early: number;
  live: number;
  waiting: number;
  readonly ended: Map<Outcome, number>;
}

export const newArray = (range: ArrayRange, maxLive: number): ArrayRecord => ({
  range,
  maxLive,
  cursor: range.first,
  early: 0,
  live: 0,
  waiting: 0,
  ended: new Map(),
});

/** Elements that were never touched. */
export const unclaimed = (array: ArrayRecord): number => remainingFrom(array.range, array.cursor) - array.early;

/** Whether no element is left to run. */
export const isDone = (array: ArrayRecord): boolean =>
  unclaimed(array) === 0 && array.live === 0 && array.waiting === 0;

/** Whether one more element may run. */
export const hasRoom = (array: ArrayRecord): boolean => array.maxLive === 0 || array.live < array.maxLive;

/** What an element without a record is: not begun, or ended together with the array's unclaimed range; undefined where there is no such element. */
export function unrecorded(array: ArrayRecord, index: number): "unclaimed" | "ended" | undefined {
  if (!hasIndex(array.range, index)) return undefined;
  return index >= array.cursor ? "unclaimed" : "ended";
}

/** Claims the element at the cursor: it is live now. `hasRecord` tells of the elements that the cursor has to step over. */
export function claim(array: ArrayRecord, hasRecord: (index: number) => boolean): void {
  array.live += 1;
  advance(array, hasRecord);
}

/** Ends one element before it was claimed. */
export function endEarly(
  array: ArrayRecord,
  index: number,
  outcome: Outcome,
  hasRecord: (index: number) => boolean,
): void {
  count(array, outcome, 1);
  if (index === array.cursor) advance(array, hasRecord);
  else array.early += 1;
}

/** Ends the unclaimed range. Returns the number of elements in it. */
export function endUnclaimed(array: ArrayRecord, outcome: Outcome): number {
  const ended = unclaimed(array);
  count(array, outcome, ended);
  array.cursor = Math.max(array.cursor, array.range.last + 1);
  array.early = 0;
  return ended;
}

/** Counts elements that ended with that outcome. */
export function count(array: ArrayRecord, outcome: Outcome, elements: number): void {
  if (elements > 0) array.ended.set(outcome, (array.ended.get(outcome) ?? 0) + elements);
}

function advance(array: ArrayRecord, hasRecord: (index: number) => boolean): void {
  array.cursor += array.range.step;
  while (array.early > 0 && hasRecord(array.cursor)) {
    array.early -= 1;
    array.cursor += array.range.step;
  }
}

/** The outcome of an array whose elements have all ended. */
export function arrayOutcome(
  array: ArrayRecord,
  killedBy: string | undefined,
): { readonly outcome: Outcome; readonly reason: Reason } {
  const total = arraySize(array.range);
  const succeeded = array.ended.get("succeeded") ?? 0;
  if (succeeded === total)
    return { outcome: "succeeded", reason: { code: "ALL_SUCCEEDED", message: `all ${total} elements succeeded` } };
  if (killedBy !== undefined) return { outcome: "killed", reason: killedReason(killedBy) };
  const parts = [...array.ended]
    .filter(([outcome, n]) => outcome !== "succeeded" && n > 0)
    .map(([outcome, n]) => `${n} ${outcome.replaceAll("_", " ")}`);
  return {
    outcome: "failed",
    reason: {
      code: "ELEMENTS_FAILED",
      message: `${total - succeeded} of ${total} elements did not succeed: ${parts.join(", ")}`,
    },
  };
}
