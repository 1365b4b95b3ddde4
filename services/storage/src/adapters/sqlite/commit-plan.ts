import { AppError, move, sources } from "@berth/core";
import type { Outcome, TaskEvent } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import type { CommitPlanRequest, CommitPlanResponse, End, Placement } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { killCode, outcomeCode, overCode, pendingCode, placedCode, runningCode, stateIn } from "../records/codes.ts";
import { feedColumns, freshRow } from "../records/columns.ts";
import type { FeedColumns, SpecColumns } from "../records/columns.ts";
import { gatherAssignments } from "../records/assignments.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { lifeOf, readId } from "../records/task-life.ts";
import { claim, count, endUnclaimed, hasRoom, unrecorded } from "../../domain/array-record.ts";
import type { OpenArray, Batch } from "./batch.ts";
import type { HostTable } from "./host-table.ts";
import { schedulerTerm } from "./leases.ts";
import { encodedSpec, readTask } from "./task-rows.ts";

/** Why a placement was not committed; empty: it was. */
type Refusal = "" | "KILL_REQUESTED" | "NOT_PENDING" | "STALE_ATTEMPT" | "ARRAY_LIMIT" | "HOST_CHANGED" | "NOT_FOUND";

/** One plan, in its transaction. Throws `precondition` STALE_TERM before the first write where its maker no longer leads. */
export function commitPlan(
  db: Database,
  batch: Batch,
  hosts: HostTable,
  epoch: string,
  plan: CommitPlanRequest,
): CommitPlanResponse {
  const term = schedulerTerm(db);
  if (plan.term !== term) {
    throw new AppError(
      "precondition",
      "STALE_TERM",
      `the plan is of term ${plan.term}, the scheduler's term is ${term}`,
      { metadata: { term: String(term) } },
    );
  }
  const assigned = gatherAssignments((number) => encodedSpec(db, number), epoch, term);
  const placementRefusals = plan.placements.map((placement) => {
    const refusal = orUnreadable(() => place(db, batch, hosts, placement, assigned.look));
    if (refusal === "") assigned.add(placement.hostId, placement.taskId, placement.attempt, placement.journalId);
    return refusal;
  });
  const endRefusals = plan.ends.map((end) => orUnreadable(() => endPending(db, batch, end)));
  return { placementRefusals, endRefusals, assignments: assigned.byHost() };
}

/** What cannot be read is refused for itself. Its record is looked at whole before the first write. */
function orUnreadable(decide: () => string): string {
  return unlessUnreadable(decide) ?? "RECORD_UNREADABLE";
}

function place(
  db: Database,
  batch: Batch,
  hosts: HostTable,
  placement: Placement,
  look: (number: number) => void,
): Refusal {
  if (hosts.journalOf(placement.hostId) !== placement.journalId) return "HOST_CHANGED";
  const id = readId(placement.taskId);
  const spec = id && batch.spec(id.number);
  if (!spec) return "NOT_FOUND";
  look(spec.number);
  readTask(db, id.number, id.idx);
  if (id.idx < 0) return spec.is_array === 1 ? "NOT_PENDING" : placeRow(db, batch, spec, placement, id, undefined);
  const array = batch.array(id.number);
  if (!array) return "NOT_FOUND";
  // Its elements may still be past their turn or over: then that is the answer.
  if (array.request === killCode || !hasRoom(array)) return whyNotPlaced(db, placement, id, array);
  if (placement.attempt === 1 && id.idx === array.cursor && array.cursor <= array.range.last) {
    claimElement(db, batch, spec, placement, id.idx, array);
    return "";
  }
  return placeRow(db, batch, spec, placement, id, array);
}

/** Elements are claimed exactly along the cursor: one that is out of turn is of an older view, and refused. */
function claimElement(
  db: Database,
  batch: Batch,
  spec: SpecColumns,
  placement: Placement,
  idx: number,
  array: OpenArray,
): void {
  claim(array, (index) => batch.hasRecord(array.number, index));
  array.state = runningCode;
  array.dirty = true;
  const revision = batch.nextRevision();
  db.sql(
    "INSERT INTO tasks (number, idx, user, state, prior, attempt, host, journal, placed_at, revision, lease_ms) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
  ).run(
    spec.number,
    idx,
    spec.user,
    placedCode,
    pendingCode,
    placement.hostId,
    placement.journalId,
    batch.at,
    revision,
    array.leaseMs,
  );
  const row = {
    ...freshRow(spec.number, idx, placedCode),
    attempt: 1,
    host: placement.hostId,
    journal: placement.journalId,
  };
  placedNow(batch, spec, placement, row, revision);
}

const placeUpdate = `UPDATE tasks SET prior = state, state = ${placedCode}, attempt = ?, host = ?, journal = ?, placed_at = ?, revision = ?, detail = '', reason_code = '', reason_message = '', started_at = NULL
  WHERE number = ? AND idx = ? AND attempt = ? AND ${stateIn(sources.place)} AND request <> ${killCode} RETURNING ${feedColumns}`;

function placeRow(
  db: Database,
  batch: Batch,
  spec: SpecColumns,
  placement: Placement,
  id: { number: number; idx: number },
  array: OpenArray | undefined,
): Refusal {
  const revision = batch.nextRevision();
  const row = db
    .sql(placeUpdate)
    .get(
      placement.attempt,
      placement.hostId,
      placement.journalId,
      batch.at,
      revision,
      id.number,
      id.idx,
      placement.attempt - 1,
    ) as unknown as FeedColumns | undefined;
  if (!row) return whyNotPlaced(db, placement, id, array);
  if (array) {
    array.waiting -= 1;
    array.live += 1;
    array.dirty = true;
  }
  placedNow(batch, spec, placement, row, revision);
  return "";
}

function placedNow(batch: Batch, spec: SpecColumns, placement: Placement, row: FeedColumns, revision: number): void {
  batch.announce(revision, row, spec);
  batch.sums.moved(spec.user, pendingCode, placedCode);
  batch.sums.loaded(placement.hostId, 1, spec);
}

/** The state machine says why the conditional write found nothing, or why it was not tried. */
function whyNotPlaced(
  db: Database,
  placement: Placement,
  { number, idx }: { number: number; idx: number },
  array: OpenArray | undefined,
): Refusal {
  const row = readTask(db, number, idx);
  if (!row) {
    const place = array && unrecorded(array, idx);
    if (place === undefined) return "NOT_FOUND";
    if (place === "ended") return "NOT_PENDING";
    return idx === array?.cursor && placement.attempt === 1 ? "ARRAY_LIMIT" : "STALE_ATTEMPT";
  }
  const event: TaskEvent = { kind: "place", attempt: placement.attempt, hostId: placement.hostId };
  const answer = move(lifeOf(row, array), event);
  if (answer.kind === "moved" && array && !hasRoom(array)) return "ARRAY_LIMIT";
  if (answer.kind !== "refused")
    throw new Error(`${placement.taskId}: the store refused what the state machine allows (${answer.kind})`);
  return answer.why as Refusal;
}

/** Ends what is still pending: a task, an array of which nothing was begun, or an element that waits again. */
function endPending(db: Database, batch: Batch, end: End): string {
  const outcome = outcomeFromWire(end.outcome);
  const reason = end.reason ?? { code: "", message: "" };
  if (outcome !== "rejected" && outcome !== "dependency_failed") return "NOT_PENDING";
  const id = readId(end.taskId);
  const spec = id && batch.spec(id.number);
  if (!spec) return "NOT_FOUND";
  const array = spec.is_array === 1 ? batch.array(id.number) : undefined;
  if (id.idx < 0 && array) return endArray(batch, spec, array, outcome, reason);
  readTask(db, id.number, id.idx);
  const row = endRow(db, batch, id, outcome, reason);
  if (!row) return readTask(db, id.number, id.idx) ? "NOT_PENDING" : "NOT_FOUND";
  batch.announce(row.revision, row, spec);
  batch.sums.moved(spec.user, pendingCode, overCode);
  if (array) {
    array.waiting -= 1;
    count(array, outcome, 1);
    array.dirty = true;
  }
  return "";
}

const endUpdate = `UPDATE tasks SET prior = state, state = ${overCode}, request = 0, outcome = ?, reason_code = ?, reason_message = ?, ended_at = ?, revision = ?
  WHERE number = ? AND idx = ? AND ${stateIn(sources.end)} RETURNING ${feedColumns}`;

/** Ends one pending record; undefined where it is not pending. */
export function endRow(
  db: Database,
  batch: Batch,
  id: { number: number; idx: number },
  outcome: Outcome,
  reason: { code: string; message: string },
): (FeedColumns & { revision: number }) | undefined {
  const revision = batch.nextRevision();
  const row = db
    .sql(endUpdate)
    .get(outcomeCode(outcome), reason.code, reason.message, batch.at, revision, id.number, id.idx) as unknown as
    | FeedColumns
    | undefined;
  return row && { ...row, revision };
}

function endArray(
  batch: Batch,
  spec: SpecColumns,
  array: OpenArray,
  outcome: Outcome,
  reason: { code: string; message: string },
): string {
  if (array.state !== pendingCode || array.live + array.waiting > 0) return "NOT_PENDING";
  batch.sums.moved(spec.user, pendingCode, overCode, endUnclaimed(array, outcome));
  array.verdict = { outcome, code: reason.code, message: reason.message };
  array.dirty = true;
  return "";
}
