import { isLive, killedReason, move } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { Outcome as WireOutcome } from "@berth/contracts/types";
import type { ReportReply, ReportRequest, RunStatus } from "@berth/contracts/agent";
import { believable } from "./record/believable.ts";
import { chargeOf, sumUp } from "./record/charge.ts";
import {
  killCode,
  outcomeCode,
  outcomeOf,
  overCode,
  pendingCode,
  placedCode,
  requestCode,
  runningCode,
  stateOf,
  suspendedCode,
} from "./record/codes.ts";
import { splitList } from "./record/feed-row.ts";
import { unlessUnreadable } from "./record/damage.ts";
import { leaseOf } from "./record/loss-columns.ts";
import { phaseFromWire } from "./record/report-phase.ts";
import { lifeOf, readId } from "./record/task-life.ts";
import { count } from "../domain/array-record.ts";
import { afterLoss } from "../domain/loss.ts";
import { endOfUnable, eventOf, speaksAgainstHost } from "../domain/report-event.ts";
import { keepAttempt, keepLateUse, lostBefore } from "./attempts.ts";
import { giveUp } from "./lose-runs.ts";
import type { ReportedStatus } from "./reported-status.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";
import type { Foreseen, OpenArray, Records } from "../ports/records.ts";

export function foreseeReport(look: Foreseen, epoch: string, { statuses }: ReportRequest): void {
  for (const { run } of statuses) {
    const id = run?.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) look.task(id.number, id.idx);
  }
}

/** Applies one host's reports; returns an answer for each. */
export function applyReport(records: Records, epoch: string, report: ReportRequest): ReportReply {
  records.foresee((look) => {
    for (const status of report.statuses) {
      const row = unlessUnreadable(() => recordOf(records, epoch, status));
      if (row && looksAtAttempts(row, status)) look.attempts(row, row.attempt);
    }
  });
  // A report about an unreadable record is answered with LATER until a kill ends the task.
  return {
    answers: report.statuses.map(
      (status) =>
        unlessUnreadable(() => answer(records, epoch, report.hostId, believable(status))) ?? ReportAnswer.LATER,
    ),
  };
}

/** Whether it tells of an earlier attempt, or of an end that is looked at beside the attempts before it. */
const looksAtAttempts = (row: TaskColumns, status: RunStatus): boolean =>
  (status.run?.attempt ?? 0) < row.attempt ||
  status.phase === RunPhase.REFUSED ||
  (status.phase === RunPhase.ENDED && !isPlainEnd(row, status));

/** Whether it is the end of a run that was not given up, so that no attempt of it is recorded beside its task. */
const isPlainEnd = (row: TaskColumns, { phase, outcome, run }: RunStatus): boolean =>
  phase === RunPhase.ENDED &&
  outcome !== WireOutcome.LOST &&
  run?.attempt === row.attempt &&
  isLive(stateOf(row.state));

function recordOf(records: Records, epoch: string, { run }: RunStatus): TaskColumns | undefined {
  const id = run?.epoch === epoch ? readId(run.taskId) : undefined;
  return id && records.spec(id.number) && records.task(id.number, id.idx);
}

function answer(records: Records, epoch: string, hostId: string, status: RunStatus): ReportAnswer {
  const phase = phaseFromWire(status.phase);
  if (!phase) return ReportAnswer.LATER; // a phase of a newer agent: neither true nor false here
  const id = status.run && status.run.epoch === epoch ? readId(status.run.taskId) : undefined;
  const spec = id && records.spec(id.number);
  if (!status.run || !spec || status.run.attempt < 1) return ReportAnswer.UNKNOWN;
  const { attempt } = status.run;
  const row = records.task(id.number, id.idx);
  if (!row || attempt > row.attempt) return ReportAnswer.UNKNOWN;
  // The same run cannot be on two hosts: this agent has a copy of another host's journal, and its report is ignored.
  const host = attempt === row.attempt ? row.host : hostOfEarlier(records, row, attempt);
  if (host !== undefined && host !== hostId) return ReportAnswer.UNKNOWN;
  const outcome = outcomeFromWire(status.outcome) ?? "lost";
  const said: ReportedStatus = {
    hostId,
    status,
    phase,
    attempt,
    outcome,
    reason: status.reason ?? { code: "", message: "" },
  };
  const array = spec.is_array === 1 ? records.array(id.number) : undefined;
  if (retriesLost(records, said, row)) return ReportAnswer.COMMITTED;
  const news = phase === "refused" ? notForEver(records, said, row, array) : said;
  const kind = stateOf(row.state);
  const event = eventOf(news.phase, kind, attempt, news.outcome, news.reason);
  if (!event) {
    if (attempt < row.attempt || row.state === pendingCode) return ReportAnswer.SUPERSEDED;
    if (phase === "preparing" && kind === "placed" && row.detail !== status.detail)
      records.announce({ ...row, detail: status.detail }, spec);
    return ReportAnswer.COMMITTED;
  }
  const moved = move(lifeOf(row, array), event);
  switch (moved.kind) {
    case "unchanged":
      if (isGivenUp(row, news)) keepLateUse(records, news, row, spec);
      return ReportAnswer.COMMITTED;
    case "superseded":
      keepLateUse(records, news, row, spec);
      return ReportAnswer.SUPERSEDED;
    case "refused":
      return ReportAnswer.UNKNOWN;
    case "moved":
      takeIn(records, news, row, spec, array, moved.life.state.kind === "over");
      return ReportAnswer.COMMITTED;
  }
}

/**
 * Where an earlier attempt was placed; undefined where what was kept of it is damaged or was never kept. Then any host is answered: a run that was followed by
 * another has to stop, wherever it is.
 */
const hostOfEarlier = (records: Records, row: TaskColumns, attempt: number): string | undefined =>
  unlessUnreadable(() => records.attempt(row, attempt)?.host);

/** Whether its host lost a run, and its task asked to be tried again then; elsewhere, if another host can take it. */
function retriesLost(
  records: Records,
  { phase, outcome, attempt, reason, status }: ReportedStatus,
  row: TaskColumns,
): boolean {
  if (phase !== "ended" || outcome !== "lost" || attempt !== row.attempt || !isLive(stateOf(row.state))) return false;
  const lease = leaseOf(row);
  if (lease?.after !== "retry") return false;
  giveUp(records, row, afterLoss(lease, reason, lostBefore(records, row)), status);
  return true;
}

/** Applies a refusal; ends the task if too many hosts were unable to start it. */
function notForEver(
  records: Records,
  said: ReportedStatus,
  row: TaskColumns,
  array: OpenArray | undefined,
): ReportedStatus {
  if (!speaksAgainstHost(said.reason)) return said;
  if (row.state !== placedCode || row.attempt !== said.attempt || lifeOf(row, array).request === "kill") return said;
  const earlier = records
    .attemptsBefore(row, row.attempt)
    .filter(({ outcome }) => outcome === 0)
    .map(({ reason_code: code, reason_message: message }) => ({ code, message }));
  const end = endOfUnable(said.reason, earlier);
  return end ? { ...said, phase: "ended", outcome: "failed", reason: end } : said;
}

/** Writes a move that the state machine allows, with the sums and the array's counts. */
function takeIn(
  records: Records,
  news: ReportedStatus,
  row: TaskColumns,
  spec: SpecColumns,
  array: OpenArray | undefined,
  isOver: boolean,
): void {
  const written = records.announce(changed(records, news, row, array, isOver), spec);
  records.sums.moved(spec.user, row.state, written.state);
  if (written.state !== overCode && written.state !== pendingCode) return;
  records.sums.loaded(news.hostId, -1, spec);
  if (news.phase === "refused") keepAttempt(records, news, row);
  const used = news.phase === "ended" ? news.status.usage : undefined;
  if (used) records.sums.charge(chargeOf(spec, used, written.ended_at ?? records.at));
  if (!array) return;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (used?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (used?.wallMs ?? 0));
  if (written.state === overCode) count(array, outcomeOf(written.outcome)!, 1);
  else array.waiting += 1;
}

function changed(
  records: Records,
  news: ReportedStatus,
  row: TaskColumns,
  array: OpenArray | undefined,
  isOver: boolean,
): TaskColumns {
  const { status, reason } = news;
  const startedAt = status.startTime?.getTime();
  const without = (request: "suspend" | "resume") => (row.request === requestCode(request) ? 0 : row.request);
  switch (news.phase) {
    case "running":
      return stateOf(row.state) === "suspended"
        ? { ...row, state: runningCode, request: without("resume") }
        : { ...row, state: runningCode, detail: "", started_at: startedAt ?? records.at };
    case "suspended":
      return {
        ...row,
        state: suspendedCode,
        detail: "",
        request: without("suspend"),
        started_at: row.started_at ?? startedAt ?? null,
      };
    case "ended":
      return {
        ...row,
        state: overCode,
        detail: "",
        request: 0,
        outcome: outcomeCode(news.outcome),
        reason_code: reason.code,
        reason_message: reason.message,
        exit_code: status.exitCode ?? null,
        signal: status.signal ?? null,
        started_at: startedAt ?? row.started_at,
        ended_at: status.endTime?.getTime() ?? records.at,
        cpu_ms: status.usage?.cpuMs ?? null,
        peak_memory_bytes: status.usage?.peakMemoryBytes ?? null,
        wall_ms: status.usage?.wallMs ?? null,
        stdout_bytes: status.logSizes?.stdoutBytes ?? null,
        stderr_bytes: status.logSizes?.stderrBytes ?? null,
        stdout_lost_bytes: status.logSizes?.stdoutLostBytes ?? null,
        stderr_lost_bytes: status.logSizes?.stderrLostBytes ?? null,
        oom_kills: status.usage?.oomKills ?? null,
        enforced: status.enforced.join(","),
      };
    case "refused":
      return refused(records, news, row, array, isOver);
    case "accepted":
    case "preparing":
      return row;
  }
}

/** Returns a task to pending; or ends it, if its kill was requested meanwhile. */
function refused(
  records: Records,
  { reason }: ReportedStatus,
  row: TaskColumns,
  array: OpenArray | undefined,
  isOver: boolean,
): TaskColumns {
  const avoided = splitList(row.avoid);
  const avoid = speaksAgainstHost(reason) && !avoided.includes(row.host) ? [...avoided, row.host] : avoided;
  const put = { ...row, detail: "", request: 0, avoid: avoid.join(",") };
  if (!isOver) {
    const why = { reason_code: reason.code, reason_message: reason.message };
    return { ...put, ...why, state: pendingCode, outcome: 0, ended_at: null };
  }
  const { code, message } = killedReason(array?.request === killCode ? array.requestBy : row.request_by);
  return {
    ...put,
    state: overCode,
    outcome: outcomeCode("killed"),
    ended_at: records.at,
    reason_code: code,
    reason_message: message,
  };
}

/** Whether this run was given up before its usage was known, and its task ended by that. */
const isGivenUp = (row: TaskColumns, { attempt, phase }: ReportedStatus): boolean =>
  phase === "ended" && row.attempt === attempt && row.state >= overCode && row.wall_ms === null;
