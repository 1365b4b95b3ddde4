import type { Outcome } from "@berth/core";
import { checkArray } from "../records/damage.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import type { ArrayDoc, TaskDoc } from "./collections.ts";

/** An array while a call works on it. */
export interface OpenArray extends ArrayRecord {
  readonly number: number;
  state: number;
  request: number;
  requestBy: string;
  /** Set where the array as a whole was ended otherwise than by its elements. */
  verdict: { readonly outcome: Outcome; readonly code: string; readonly message: string } | undefined;
  cpuMs: number;
  wallMs: number;
  /** Of each of its runs; see leaseColumn. */
  readonly leaseMs: number;
  dirty: boolean;
}

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
    leaseMs: whole.lease_ms ?? 0,
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
