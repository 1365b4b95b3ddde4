import type { Outcome } from "@berth/core";
import { checkArray } from "../../decisions/record/damage.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import type { OpenArray } from "../../ports/records.ts";
import type { ArrayDoc, TaskDoc } from "./collections.ts";

/** Throws RECORD_UNREADABLE. */
export function openArray(whole: TaskDoc, array: ArrayDoc): OpenArray {
  const open: OpenArray = {
    number: whole.number,
    range: { first: array.first, last: array.last, step: array.step },
    maxLive: array.max_live,
    cursor: array.cursor,
    early: array.early,
    live: array.live,
    waiting: array.waiting,
    ended: new Map(Object.entries(array.ended ?? { failed: NaN }) as [Outcome, number][]),
    state: whole.state,
    request: whole.request,
    requestBy: whole.request_by,
    verdict: undefined,
    cpuMs: array.cpu_ms,
    wallMs: array.wall_ms,
    loss: whole,
    dirty: false,
  };
  checkArray(whole.number, open);
  return open;
}

export const arrayDoc = (array: ArrayRecord & { readonly cpuMs?: number; readonly wallMs?: number }): ArrayDoc => ({
  ...array.range,
  max_live: array.maxLive,
  cursor: array.cursor,
  early: array.early,
  live: array.live,
  waiting: array.waiting,
  ended: Object.fromEntries(array.ended),
  cpu_ms: array.cpuMs ?? 0,
  wall_ms: array.wallMs ?? 0,
});
