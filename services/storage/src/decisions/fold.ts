import { overCode } from "./record/codes.ts";
import type { TaskColumns } from "./record/columns.ts";

type Ended = Pick<TaskColumns, "state" | "ended_at">;

/** Those of an array's elements that may be folded: over, and ended before. Where the whole array ended before, all that are over: their hosts' clocks may be wrong. */
export function foldable<E extends Ended>(elements: readonly E[], whole: Ended, endedBefore: number): E[] {
  const endedInTime = (row: Ended) => (row.ended_at ?? 0) <= endedBefore;
  const all = whole.state >= overCode && endedInTime(whole);
  return elements.filter((row) => row.state === overCode && (all || endedInTime(row)));
}
