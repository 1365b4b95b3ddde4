import { killCode, outcomeCode, overCode } from "./record/codes.ts";
import type { TaskColumns } from "./record/columns.ts";
import { arrayOutcome, isDone } from "../domain/array-record.ts";
import type { OpenArray } from "../ports/records.ts";

/** The array's own record after a decision: over once no element is left to run. `whole`: the record before. */
export function closeArray(array: OpenArray, whole: TaskColumns, at: number): TaskColumns {
  if (!isDone(array)) {
    const startedAt = array.live > 0 ? (whole.started_at ?? at) : whole.started_at;
    const { state, request, requestBy } = array;
    return { ...whole, state, request, request_by: requestBy, started_at: startedAt };
  }
  const counted = arrayOutcome(array, array.request === killCode ? array.requestBy : undefined);
  const end = array.verdict ?? { outcome: counted.outcome, ...counted.reason };
  return {
    ...whole,
    state: overCode,
    request: 0,
    outcome: outcomeCode(end.outcome),
    reason_code: end.code,
    reason_message: end.message,
    ended_at: at,
    cpu_ms: array.cpuMs,
    wall_ms: array.wallMs,
  };
}
