import { AppError, killedReason, move } from "@berth/core";
import type { TaskRequest } from "@berth/core";
import { requestFromWire, toFailure } from "@berth/contracts";
import type { RequestResult, RequestTasksRequest } from "@berth/contracts/store";
import { TaskRequest as WireRequest } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { killCode, outcomeCode, overCode, pendingCode, requestCode, wireOutcome, wireState } from "../records/codes.ts";
import { feedColumns, freshRow } from "../records/columns.ts";
import type { FeedColumns, SpecColumns, TaskColumns } from "../records/columns.ts";
import { isUnreadable } from "../records/damage.ts";
import { lifeOf, readId } from "../records/task-life.ts";
import { unrecordedRow } from "../records/task-message.ts";
import { count, endEarly, endUnclaimed, unrecorded } from "../../domain/array-record.ts";
import type { Batch, OpenArray } from "./batch.ts";
import { endUnreadable } from "../../decisions/end-unreadable.ts";
import type { Repairs } from "../../decisions/end-unreadable.ts";
import { endRow } from "./commit-plan.ts";
import { livingElements, replaceRecord, salvaged } from "./salvage.ts";
import { readTask } from "./task-rows.ts";

/** Notes what a user asks for of one task; what does not go is its result. */
export function requestOne(
  db: Database,
  batch: Batch,
  id: string,
  { request, user, admin }: RequestTasksRequest,
): RequestResult {
  try {
    const asked = requestFromWire(request);
    if (!asked)
      throw new AppError("invalid", "INVALID_REQUEST", "request: must be kill, suspend or resume", {
        metadata: { field: "request", rule: "must be known" },
      });
    const at = readId(id);
    const spec = at && batch.spec(at.number);
    if (!spec) throw notFound(id);
    if (spec.user !== user && !admin)
      throw new AppError("denied", "NOT_YOURS", `task ${id} belongs to another user`, { metadata: { task_id: id } });
    const array = spec.is_array === 1 ? batch.array(at.number) : undefined;
    if (!array && at.idx >= 0) throw notFound(id);
    if (array && at.idx < 0) return requestArray(db, batch, spec, array, id, asked, user);
    const row = readTask(db, at.number, at.idx);
    if (row) return requestRecord(db, batch, spec, array, row, id, asked, user);
    const place = array && unrecorded(array, at.idx);
    if (place === undefined) throw notFound(id);
    if (place === "unclaimed") return requestUnclaimed(db, batch, spec, array!, at.idx, id, asked, user);
    const { state, outcome } = unrecordedRow(array!, readTask(db, at.number, -1)!, at.idx)!;
    return { state: wireState(state), outcome: wireOutcome(outcome) };
  } catch (error) {
    if (isUnreadable(error) && request === WireRequest.KILL) return endDamaged(db, batch, id, { user, admin }, error);
    if (error instanceof AppError) return { state: wireState(0), outcome: wireOutcome(0), failure: toFailure(error) };
    throw error;
  }
}

function endDamaged(
  db: Database,
  batch: Batch,
  id: string,
  by: { readonly user: string; readonly admin: boolean },
  why: AppError,
): RequestResult {
  const repairs: Repairs = {
    at: batch.at,
    sums: batch.sums,
    salvaged: (number, idx) => salvaged(db, number, idx),
    livingElements: (number) => livingElements(db, number),
    array: (number) => batch.array(number),
    replace(row, spec, array) {
      const revision = batch.nextRevision();
      replaceRecord(db, { ...row, revision }, spec, array);
      batch.forget(row.number);
      batch.announce(revision, row, spec, array);
    },
  };
  try {
    const outcome = why.metadata["task_id"] === id ? endUnreadable(repairs, readId(id)!, by) : undefined;
    if (outcome === undefined) throw why;
    return { state: wireState(overCode), outcome: wireOutcome(outcome) };
  } catch (error) {
    if (error instanceof AppError) return { state: wireState(0), outcome: wireOutcome(0), failure: toFailure(error) };
    throw error;
  }
}

const notFound = (id: string) =>
  new AppError("not-found", "TASK_NOT_FOUND", `there is no task ${id}`, { metadata: { task_id: id } });
const notRunning = (id: string, asked: TaskRequest) =>
  new AppError("precondition", "NOT_RUNNING", `task ${id} is not ${asked === "resume" ? "suspended" : "running"}`, {
    metadata: { task_id: id },
  });

function requestRecord(
  db: Database,
  batch: Batch,
  spec: SpecColumns,
  array: OpenArray | undefined,
  row: TaskColumns,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  const at = { number: row.number, idx: row.idx };
  const answer = move(lifeOf(row), { kind: "request", request: asked });
  switch (answer.kind) {
    case "refused":
      throw notRunning(id, asked);
    case "superseded":
    case "unchanged":
      return { state: wireState(row.state), outcome: wireOutcome(row.outcome) };
    case "moved":
      break;
  }
  if (answer.life.state.kind === "over") {
    const ended = endRow(db, batch, at, "killed", killedReason(user));
    if (!ended) throw new Error(`${id}: the store refused what the state machine allows (kill)`);
    batch.announce(ended.revision, ended, spec);
    batch.sums.moved(spec.user, pendingCode, overCode);
    if (array) {
      array.waiting -= 1;
      count(array, "killed", 1);
      array.dirty = true;
    }
    return { state: wireState(overCode), outcome: wireOutcome(outcomeCode("killed")) };
  }
  const revision = batch.nextRevision();
  const code = requestCode(answer.life.request);
  const noted = db
    .sql(
      `UPDATE tasks SET request = ?, request_by = ?, revision = ? WHERE number = ? AND idx = ? AND state = ? RETURNING ${feedColumns}`,
    )
    .get(code, code === 0 ? "" : user, revision, at.number, at.idx, row.state) as unknown as FeedColumns;
  batch.announce(revision, noted, spec);
  return { state: wireState(row.state), outcome: wireOutcome(0) };
}

/** Ends an element that the cursor has not reached: it gets a record, and the cursor will step over it. */
function requestUnclaimed(
  db: Database,
  batch: Batch,
  spec: SpecColumns,
  array: OpenArray,
  idx: number,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  if (asked !== "kill") throw notRunning(id, asked);
  const reason = killedReason(user);
  const revision = batch.nextRevision();
  const killed = outcomeCode("killed");
  db.sql(
    "INSERT INTO tasks (number, idx, user, state, prior, attempt, revision, outcome, reason_code, reason_message, ended_at) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
  ).run(array.number, idx, spec.user, overCode, pendingCode, revision, killed, reason.code, reason.message, batch.at);
  endEarly(array, idx, "killed", (index) => batch.hasRecord(array.number, index));
  array.dirty = true;
  const row = {
    ...freshRow(array.number, idx, overCode),
    outcome: killed,
    reason_code: reason.code,
    reason_message: reason.message,
    ended_at: batch.at,
  };
  batch.announce(revision, row, spec);
  batch.sums.moved(spec.user, pendingCode, overCode);
  return { state: wireState(overCode), outcome: wireOutcome(killed) };
}

/** A kill of an array ends what was not begun, as a range, and what waits again; what lives gets it through the array. */
function requestArray(
  db: Database,
  batch: Batch,
  spec: SpecColumns,
  array: OpenArray,
  id: string,
  asked: TaskRequest,
  user: string,
): RequestResult {
  const row = readTask(db, array.number, -1)!;
  if (row.state >= overCode) return { state: wireState(row.state), outcome: wireOutcome(row.outcome) };
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
    batch.sums.moved(spec.user, pendingCode, overCode, endUnclaimed(array, "killed"));
    for (const idx of array.waiting > 0 ? waitingOf(db, array.number) : []) {
      const ended = endRow(db, batch, { number: array.number, idx }, "killed", killedReason(user))!;
      batch.announce(ended.revision, ended, spec);
      batch.sums.moved(spec.user, pendingCode, overCode);
      array.waiting -= 1;
      count(array, "killed", 1);
    }
  }
  const over = array.live === 0;
  return { state: wireState(over ? overCode : array.state), outcome: wireOutcome(over ? outcomeCode("killed") : 0) };
}

const waitingOf = (db: Database, number: number): number[] =>
  db
    .sql(
      `SELECT idx FROM tasks INDEXED BY tasks_live WHERE number = ? AND idx >= 0 AND state < ${overCode} AND state = ${pendingCode}`,
    )
    .all(number)
    .map((row) => Number(row["idx"]));
