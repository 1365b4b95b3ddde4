import { AppError, move } from "@berth/core";
import type { Reason } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import type { CommitPlanRequest, CommitPlanResponse, End, Placement } from "@berth/contracts/store";
import { killCode, outcomeCode, overCode, pendingCode, placedCode, runningCode } from "../records/codes.ts";
import { gatherAssignments } from "../records/assignments.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { lifeOf, readId } from "../records/task-life.ts";
import { claim, count, endUnclaimed, hasRoom, unrecorded } from "../../domain/array-record.ts";
import type { Batch, TaskRecord } from "./batch.ts";
import type { OpenArray } from "./open-array.ts";
import { freshTask } from "../records/columns.ts";
import type { TaskDoc } from "./collections.ts";
import type { Hosts } from "./hosts.ts";
import { schedulerTerm } from "./leases.ts";
import type { SpecDoc } from "./spec-doc.ts";
import type { Needs } from "./needs.ts";

export function planNeeds(needs: Needs, { placements, ends }: CommitPlanRequest): void {
  for (const { taskId, attempt } of placements) {
    const id = readId(taskId);
    if (!id) continue;
    // An element in its turn has no record yet.
    needs.task(id.number, attempt === 1 ? -1 : id.idx);
    needs.runSpecs.add(id.number);
  }
  for (const { taskId } of ends) {
    const id = readId(taskId);
    if (id) needs.task(id.number, id.idx);
  }
}

/** One plan. Throws `precondition` STALE_TERM before anything is changed where its maker no longer leads. */
export function commitPlan(batch: Batch, hosts: Hosts, epoch: string, plan: CommitPlanRequest): CommitPlanResponse {
  const term = schedulerTerm(batch.lease("scheduler"));
  if (plan.term !== term) {
    throw new AppError(
      "precondition",
      "STALE_TERM",
      `the plan is of term ${plan.term}, the scheduler's term is ${term}`,
      { metadata: { term: String(term) } },
    );
  }
  const assigned = gatherAssignments((number) => batch.encodedSpec(number), epoch, term);
  const placementRefusals = plan.placements.map((placement) => {
    const { hostId, taskId, attempt, journalId } = placement;
    const id = readId(taskId);
    if (hosts.journalOf(batch.host(hostId)) !== journalId) return "HOST_CHANGED";
    const refusal = orUnreadable(() => {
      const spec = id && batch.spec(id.number);
      if (!spec) return "NOT_FOUND";
      assigned.look(spec.number);
      return place(batch, spec, placement, id.idx);
    });
    if (refusal === "") assigned.add(hostId, taskId, attempt, journalId);
    return refusal;
  });
  const endRefusals = plan.ends.map((end) => orUnreadable(() => endPending(batch, end)));
  return { placementRefusals, endRefusals, assignments: assigned.byHost() };
}

/** What cannot be read is refused for itself. */
const orUnreadable = (decide: () => string): string => unlessUnreadable(decide) ?? "RECORD_UNREADABLE";

/** Places one run; answers why not, or "". */
function place(batch: Batch, spec: SpecDoc, placement: Placement, idx: number): string {
  if (idx < 0 || spec.is_array === 0) {
    const row = spec.is_array === 1 ? undefined : batch.task(spec.number, idx);
    if (spec.is_array === 1) return "NOT_PENDING";
    return row ? placeRecord(batch, spec, placement, row, undefined) : "NOT_FOUND";
  }
  const array = batch.array(spec.number);
  if (!array) return "NOT_FOUND";
  const isTurn = placement.attempt === 1 && idx === array.cursor && idx <= array.range.last;
  if (isTurn && array.request !== killCode && hasRoom(array)) {
    claimElement(batch, spec, placement, idx, array);
    return "";
  }
  const row = batch.task(spec.number, idx);
  if (row) return placeRecord(batch, spec, placement, row, array);
  const found = unrecorded(array, idx);
  if (found === undefined) return "NOT_FOUND";
  if (found === "ended") return "NOT_PENDING";
  return isTurn ? "ARRAY_LIMIT" : "STALE_ATTEMPT";
}

/** Elements are claimed exactly along the cursor: one that is out of turn is of an older view, and refused. */
function claimElement(batch: Batch, spec: SpecDoc, placement: Placement, idx: number, array: OpenArray): void {
  claim(array, (index) => batch.hasRecord(array, index));
  array.state = runningCode;
  array.dirty = true;
  put(batch, spec, placement, freshTask(spec.number, idx, spec.user, placedCode, array.leaseMs));
}

function placeRecord(
  batch: Batch,
  spec: SpecDoc,
  placement: Placement,
  row: TaskDoc,
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
  put(batch, spec, placement, row);
  return "";
}

function put(batch: Batch, spec: SpecDoc, placement: Placement, row: TaskRecord): void {
  const placed = {
    ...row,
    state: placedCode,
    attempt: placement.attempt,
    host: placement.hostId,
    journal: placement.journalId,
    placed_at: batch.at,
    detail: "",
    reason_code: "",
    reason_message: "",
    started_at: null,
  };
  batch.announce(placed, spec);
  batch.sums.moved(spec.user, pendingCode, placedCode);
  batch.sums.loaded(placement.hostId, 1, spec);
}

/** Ends what is still pending: a task, an array of which nothing was begun, or an element that waits again. */
function endPending(batch: Batch, end: End): string {
  const outcome = outcomeFromWire(end.outcome);
  const reason = end.reason ?? { code: "", message: "" };
  if (outcome !== "rejected" && outcome !== "dependency_failed") return "NOT_PENDING";
  const id = readId(end.taskId);
  const spec = id && batch.spec(id.number);
  if (!spec) return "NOT_FOUND";
  const array = spec.is_array === 1 ? batch.array(id.number) : undefined;
  if (id.idx < 0 && array) return endArray(batch, spec, array, outcome, reason);
  const row = batch.task(id.number, id.idx);
  if (!row) return "NOT_FOUND";
  if (move(lifeOf(row), { kind: "end", outcome, reason }).kind !== "moved") return "NOT_PENDING";
  endRecord(batch, spec, row, outcome, reason, array);
  return "";
}

/** Ends one pending record. */
export function endRecord(
  batch: Batch,
  spec: SpecDoc,
  row: TaskDoc,
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
    ended_at: batch.at,
  };
  batch.announce(ended, spec);
  batch.sums.moved(spec.user, pendingCode, overCode);
  if (!array) return;
  array.waiting -= 1;
  count(array, outcome, 1);
  array.dirty = true;
}

function endArray(
  batch: Batch,
  spec: SpecDoc,
  array: OpenArray,
  outcome: "rejected" | "dependency_failed",
  reason: Reason,
): string {
  if (array.state !== pendingCode || array.live + array.waiting > 0) return "NOT_PENDING";
  batch.sums.moved(spec.user, pendingCode, overCode, endUnclaimed(array, outcome));
  array.verdict = { outcome, code: reason.code, message: reason.message };
  array.dirty = true;
  return "";
}
