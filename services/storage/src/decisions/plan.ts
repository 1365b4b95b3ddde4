import { AppError, move } from "@berth/core";
import type { Reason } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import type { CommitPlanRequest, CommitPlanResponse, End, Placement } from "@berth/contracts/store";
import { killCode, outcomeCode, overCode, pendingCode, placedCode, runningCode } from "./record/codes.ts";
import { gatherAssignments } from "./record/assignments.ts";
import { unlessUnreadable } from "./record/damage.ts";
import { lifeOf, readId } from "./record/task-life.ts";
import { claim, count, endUnclaimed, hasRoom, unrecorded } from "../domain/array-record.ts";
import { freshTask } from "./record/columns.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";
import type { Foreseen, OpenArray, Records } from "../ports/records.ts";

export function foreseePlan(look: Foreseen, { placements, ends }: CommitPlanRequest): void {
  for (const { taskId, attempt } of placements) {
    const id = readId(taskId);
    if (!id) continue;
    // The element at the cursor has no record yet.
    look.task(id.number, attempt === 1 ? -1 : id.idx);
    look.runSpec(id.number);
  }
  for (const { taskId } of ends) {
    const id = readId(taskId);
    if (id) look.task(id.number, id.idx);
  }
}

/** Commits a plan. Throws `precondition` STALE_TERM, with nothing changed, if the scheduler that made it no longer leads. */
export function commitPlan(records: Records, epoch: string, plan: CommitPlanRequest): CommitPlanResponse {
  const term = records.schedulerTerm();
  if (plan.term !== term) {
    throw new AppError(
      "precondition",
      "STALE_TERM",
      `the plan is of term ${plan.term}, the scheduler's term is ${term}`,
      { metadata: { term: String(term) } },
    );
  }
  const assigned = gatherAssignments((number) => records.encodedSpec(number), epoch, term);
  const placementRefusals = plan.placements.map((placement) => {
    const { hostId, taskId, attempt, journalId } = placement;
    const id = readId(taskId);
    if (records.journalOf(hostId) !== journalId) return "HOST_CHANGED";
    const refusal = orUnreadable(() => {
      const spec = id && records.spec(id.number);
      if (!spec) return "NOT_FOUND";
      assigned.look(spec.number);
      return place(records, spec, placement, id.idx);
    });
    if (refusal === "") assigned.add(hostId, taskId, attempt, journalId);
    return refusal;
  });
  const endRefusals = plan.ends.map((end) => orUnreadable(() => endPending(records, end)));
  return { placementRefusals, endRefusals, assignments: assigned.byHost() };
}

/** Refuses a placement whose record cannot be read; the rest of the plan goes on. */
const orUnreadable = (decide: () => string): string => unlessUnreadable(decide) ?? "RECORD_UNREADABLE";

/** Places one run. Returns the reason for a refusal, or "". */
function place(records: Records, spec: SpecColumns, placement: Placement, idx: number): string {
  if (idx < 0 || spec.is_array === 0) {
    const row = spec.is_array === 1 ? undefined : records.task(spec.number, idx);
    if (spec.is_array === 1) return "NOT_PENDING";
    return row ? placeRecord(records, spec, placement, row, undefined) : "NOT_FOUND";
  }
  const array = records.array(spec.number);
  if (!array) return "NOT_FOUND";
  const isTurn = placement.attempt === 1 && idx === array.cursor && idx <= array.range.last;
  if (isTurn && array.request !== killCode && hasRoom(array)) {
    claimElement(records, spec, placement, idx, array);
    return "";
  }
  const row = records.task(spec.number, idx);
  if (row) return placeRecord(records, spec, placement, row, array);
  const found = unrecorded(array, idx);
  if (found === undefined) return "NOT_FOUND";
  if (found === "ended") return "NOT_PENDING";
  return isTurn ? "ARRAY_LIMIT" : "STALE_ATTEMPT";
}

/** Claims the element at the cursor. Any other element comes from an outdated view and is refused before this. */
function claimElement(records: Records, spec: SpecColumns, placement: Placement, idx: number, array: OpenArray): void {
  claim(array, (index) => records.hasRecord(array, index));
  array.state = runningCode;
  array.dirty = true;
  put(records, spec, placement, freshTask(spec.number, idx, spec.user, placedCode, array.loss));
}

function placeRecord(
  records: Records,
  spec: SpecColumns,
  placement: Placement,
  row: TaskColumns,
  array: OpenArray | undefined,
): string {
  const { attempt, hostId } = placement;
  const answer = move(lifeOf(row, array), { kind: "place", attempt, hostId });
  if (answer.kind === "refused") return answer.why;
  if (array) {
    if (!hasRoom(array)) return "ARRAY_LIMIT";
    array.waiting -= 1;
    array.live += 1;
    array.dirty = true;
  }
  put(records, spec, placement, row);
  return "";
}

function put(records: Records, spec: SpecColumns, placement: Placement, row: TaskColumns): void {
  const placed = {
    ...row,
    state: placedCode,
    attempt: placement.attempt,
    host: placement.hostId,
    journal: placement.journalId,
    placed_at: records.at,
    detail: "",
    reason_code: "",
    reason_message: "",
    started_at: null,
  };
  records.announce(placed, spec);
  records.sums.moved(spec.user, pendingCode, placedCode);
  records.sums.loaded(placement.hostId, 1, spec);
}

/** Ends a pending task, an array that has not started, or an element that waits again. */
function endPending(records: Records, end: End): string {
  const outcome = outcomeFromWire(end.outcome);
  const reason = end.reason ?? { code: "", message: "" };
  if (outcome !== "rejected" && outcome !== "dependency_failed") return "NOT_PENDING";
  const id = readId(end.taskId);
  const spec = id && records.spec(id.number);
  if (!spec) return "NOT_FOUND";
  const array = spec.is_array === 1 ? records.array(id.number) : undefined;
  if (id.idx < 0 && array) return endArray(records, spec, array, outcome, reason);
  const row = records.task(id.number, id.idx);
  if (!row) return "NOT_FOUND";
  if (move(lifeOf(row), { kind: "end", outcome, reason }).kind !== "moved") return "NOT_PENDING";
  endRecord(records, spec, row, outcome, reason, array);
  return "";
}

/** Ends one pending record. */
export function endRecord(
  records: Records,
  spec: SpecColumns,
  row: TaskColumns,
  outcome: "rejected" | "dependency_failed" | "killed",
  reason: Reason,
  array: OpenArray | undefined,
): void {
  const ended = {
    ...row,
    state: overCode,
    request: 0,
    outcome: outcomeCode(outcome),
    reason_code: reason.code,
    reason_message: reason.message,
    ended_at: records.at,
  };
  records.announce(ended, spec);
  records.sums.moved(spec.user, pendingCode, overCode);
  if (!array) return;
  array.waiting -= 1;
  count(array, outcome, 1);
  array.dirty = true;
}

function endArray(
  records: Records,
  spec: SpecColumns,
  array: OpenArray,
  outcome: "rejected" | "dependency_failed",
  reason: Reason,
): string {
  if (array.state !== pendingCode || array.live + array.waiting > 0) return "NOT_PENDING";
  records.sums.moved(spec.user, pendingCode, overCode, endUnclaimed(array, outcome));
  array.verdict = { outcome, code: reason.code, message: reason.message };
  array.dirty = true;
  return "";
}
