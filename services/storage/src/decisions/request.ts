import { AppError, killedReason, move, taskNotFound, taskNotYours } from "@berth/core";
import type { TaskRequest } from "@berth/core";
import { requestFromWire, toFailure } from "@berth/contracts";
import type { RequestResult, RequestTasksRequest } from "@berth/contracts/store";
import { TaskRequest as WireRequest } from "@berth/contracts/types";
import { killCode, outcomeCode, overCode, pendingCode, requestCode, wireOutcome, wireState } from "./record/codes.ts";
import { isUnreadable } from "./record/damage.ts";
import { lifeOf, readId } from "./record/task-life.ts";
import { unrecordedRow } from "./record/task-message.ts";
import { endEarly, endUnclaimed, unrecorded } from "../domain/array-record.ts";
import { endUnreadable } from "./end-unreadable.ts";
import { freshTask } from "./record/columns.ts";
import { endRecord } from "./plan.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";
import type { Foreseen, OpenArray, Records } from "../ports/records.ts";

export function foreseeRequest(look: Foreseen, taskId: string): void {
  const id = readId(taskId);
  if (id) look.task(id.number, id.idx);
}

/** Stores a user's request for one task. A failure is returned as that task's result. */
export function requestOne(records: Records, id: string, asked: RequestTasksRequest): RequestResult {
  try {
    return request(records, id, asked);
  } catch (error) {
    if (isUnreadable(error) && asked.request === WireRequest.KILL) return endDamaged(records, id, asked, error);
    if (error instanceof AppError) return { state: wireState(0), outcome: wireOutcome(0), failure: toFailure(error) };
    throw error;
  }
}

function request(records: Records, id: string, { request: word, user, admin }: RequestTasksRequest): RequestResult {
  const asked = requestFromWire(word);
  if (!asked)
    throw new AppError("invalid", "INVALID_REQUEST", "request: must be kill, suspend or resume", {
      metadata: { field: "request", rule: "must be known" },
    });
  const at = readId(id);
  const spec = at && records.spec(at.number);
  if (!spec) throw taskNotFound(id);
  if (spec.user !== user && !admin) throw taskNotYours(id);
  const array = spec.is_array === 1 ? records.array(at.number) : undefined;
  if (!array && at.idx >= 0) throw taskNotFound(id);
  if (array && at.idx < 0) return requestArray(records, spec, array, id, asked, user);
  const row = records.task(at.number, at.idx);
  if (row) return requestRecord(records, spec, array, row, id, asked, user);
  const place = array && unrecorded(array, at.idx);
  if (place === undefined) throw taskNotFound(id);
  if (place === "unclaimed") return requestUnclaimed(records, spec, array!, at.idx, id, asked, user);
  const { state, outcome } = unrecordedRow(array!, records.task(at.number, -1)!, at.idx)!;
  return answer(state, outcome);
}

function endDamaged(records: Records, id: string, by: RequestTasksRequest, why: AppError): RequestResult {
  try {
    const outcome = why.metadata["task_id"] === id ? endUnreadable(records, readId(id)!, by) : undefined;
    if (outcome === undefined) throw why;
    return answer(overCode, outcome);
  } catch (error) {
    if (error instanceof AppError) return { state: wireState(0), outcome: wireOutcome(0), failure: toFailure(error) };
    throw error;
  }
}

const answer = (state: number, outcome: number): RequestResult => ({
  state: wireState(state),
  outcome: wireOutcome(outcome),
});
const notRunning = (id: string, asked: TaskRequest) =>
  new AppError("precondition", "NOT_RUNNING", `task ${id} is not ${asked === "resume" ? "suspended" : "running"}`, {
    metadata: { task_id: id },
  });

function requestRecord(
  records: Records,
  spec: SpecColumns,
  array: OpenArray | undefined,
  row: TaskColumns,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  const moved = move(lifeOf(row), { kind: "request", request: asked });
  switch (moved.kind) {
    case "refused":
      throw notRunning(id, asked);
    case "superseded":
    case "unchanged":
      return answer(row.state, row.outcome);
    case "moved":
      break;
  }
  if (moved.life.state.kind === "over") {
    endRecord(records, spec, row, "killed", killedReason(user), array);
    return answer(overCode, outcomeCode("killed"));
  }
  const code = requestCode(moved.life.request);
  records.announce({ ...row, request: code, request_by: code === 0 ? "" : user }, spec);
  return answer(row.state, 0);
}

/** Ends an element beyond the cursor: it gets a record, and the cursor will step over it. */
function requestUnclaimed(
  records: Records,
  spec: SpecColumns,
  array: OpenArray,
  idx: number,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  if (asked !== "kill") throw notRunning(id, asked);
  const reason = killedReason(user);
  const killed = outcomeCode("killed");
  records.announce(
    {
      ...freshTask(array.number, idx, spec.user, overCode),
      outcome: killed,
      reason_code: reason.code,
      reason_message: reason.message,
      ended_at: records.at,
    },
    spec,
  );
  endEarly(array, idx, "killed", (index) => records.hasRecord(array, index));
  array.dirty = true;
  records.sums.moved(spec.user, pendingCode, overCode);
  return answer(overCode, killed);
}

/** Kills an array: ends the unclaimed range and the elements that wait again. Running elements see the request through their array. */
function requestArray(
  records: Records,
  spec: SpecColumns,
  array: OpenArray,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  const whole = records.task(array.number, -1)!;
  if (whole.state >= overCode) return answer(whole.state, whole.outcome);
  if (asked !== "kill") {
    throw new AppError(
      "precondition",
      "ARRAY_NOT_SUSPENDABLE",
      `${id} is an array: ask for its elements, such as ${id}.${array.range.first}`,
      { metadata: { task_id: id } },
    );
  }
  if (array.request !== killCode) {
    array.request = killCode;
    array.requestBy = user;
    array.dirty = true;
    records.sums.moved(spec.user, pendingCode, overCode, endUnclaimed(array, "killed"));
    for (const row of records.waitingElements(array.number))
      endRecord(records, spec, row, "killed", killedReason(user), array);
  }
  const over = array.live === 0;
  return answer(over ? overCode : array.state, over ? outcomeCode("killed") : 0);
}
