import { isLive, move } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { Outcome as WireOutcome } from "@berth/contracts/types";
import type { ReportReply, ReportRequest, RunStatus } from "@berth/contracts/agent";
import { believable } from "../records/believable.ts";
import { chargeOf, sumUp } from "../records/charge.ts";
import {
  outcomeCode,
  outcomeOf,
  overCode,
  pendingCode,
  placedCode,
  requestCode,
  runningCode,
  stateOf,
  suspendedCode,
} from "../records/codes.ts";
import { splitList } from "../records/feed-row.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { leaseOf } from "../records/lease-column.ts";
import { phaseFromWire } from "../records/report-phase.ts";
import { lifeOf, readId } from "../records/task-life.ts";
import { count } from "../../domain/array-record.ts";
import { afterLoss } from "../../domain/loss.ts";
import { endOfUnable, eventOf, speaksAgainstHost } from "../../domain/news.ts";
import { attemptNeeds, earlierAttempts, keepAttempt, keepLateUse, lostBefore } from "./attempts.ts";
import type { Batch } from "./batch.ts";
import type { OpenArray } from "./open-array.ts";
import type { TaskDoc } from "./collections.ts";
import { giveUp } from "./lose-runs.ts";
import type { Needs } from "./needs.ts";
import type { News } from "./news.ts";
import type { SpecDoc } from "./spec-doc.ts";

export function reportNeeds(needs: Needs, epoch: string, { statuses }: ReportRequest): void {
  for (const { run } of statuses) {
    const id = run?.epoch === epoch ? readId(run.taskId) : undefined;
    if (id) needs.task(id.number, id.idx);
  }
}

/** One host's reports; an answer for each. */
export function applyReport(batch: Batch, epoch: string, report: ReportRequest): ReportReply {
  batch.foresee((needs) => {
    for (const status of report.statuses) {
      const row = concernsAttempts(status) && unlessUnreadable(() => recordOf(batch, epoch, status));
      if (row && !isPlainEnd(row, status)) attemptNeeds(needs, row);
    }
  });
  // A record that cannot be read keeps its own report waiting, until a kill ends it.
  return {
    answers: report.statuses.map(
      (status) => unlessUnreadable(() => answer(batch, epoch, report.hostId, believable(status))) ?? ReportAnswer.LATER,
    ),
  };
}

const concernsAttempts = ({ phase }: RunStatus): boolean => phase === RunPhase.ENDED || phase === RunPhase.REFUSED;

/** The end of a run that nobody gave up: nothing of it is kept beside its record. */
const isPlainEnd = (row: TaskDoc, { phase, outcome, run }: RunStatus): boolean =>
  phase === RunPhase.ENDED &&
  outcome !== WireOutcome.LOST &&
  run?.attempt === row.attempt &&
  isLive(stateOf(row.state));

function recordOf(batch: Batch, epoch: string, { run }: RunStatus): TaskDoc | undefined {
  const id = run?.epoch === epoch ? readId(run.taskId) : undefined;
  return id && batch.spec(id.number) && batch.task(id.number, id.idx);
}

function answer(batch: Batch, epoch: string, hostId: string, status: RunStatus): ReportAnswer {
  const phase = phaseFromWire(status.phase);
  if (!phase) return ReportAnswer.LATER; // of a newer agent: nothing is known to be false
  const id = status.run && status.run.epoch === epoch ? readId(status.run.taskId) : undefined;
  const spec = id && batch.spec(id.number);
  if (!status.run || !spec || status.run.attempt < 1) return ReportAnswer.UNKNOWN;
  const { attempt } = status.run;
  const row = batch.task(id.number, id.idx);
  if (!row || attempt > row.attempt) return ReportAnswer.UNKNOWN;
  // The same run cannot be on two hosts: whoever says so has a copy of another's journal, and is not believed.
  if (attempt === row.attempt && row.host !== hostId) return ReportAnswer.UNKNOWN;
  const outcome = outcomeFromWire(status.outcome) ?? "lost";
  const said: News = { hostId, status, phase, attempt, outcome, reason: status.reason ?? { code: "", message: "" } };
  const array = spec.is_array === 1 ? batch.array(id.number) : undefined;
  if (retriesLost(batch, said, row)) return ReportAnswer.COMMITTED;
  const news = phase === "refused" ? notForEver(batch, said, row, array) : said;
  const kind = stateOf(row.state);
  const event = eventOf(news.phase, kind, attempt, news.outcome, news.reason);
  if (!event) {
    if (attempt < row.attempt || row.state === pendingCode) return ReportAnswer.SUPERSEDED;
    if (phase === "preparing" && kind === "placed" && row.detail !== status.detail)
      batch.announce({ ...row, detail: status.detail }, spec);
    return ReportAnswer.COMMITTED;
  }
  const moved = move(lifeOf(row, array), event);
  switch (moved.kind) {
    case "unchanged":
      if (isGivenUp(row, news)) keepLateUse(batch, news, row, spec);
      return ReportAnswer.COMMITTED;
    case "superseded":
      keepLateUse(batch, news, row, spec);
      return ReportAnswer.SUPERSEDED;
    case "refused":
      return ReportAnswer.UNKNOWN;
    case "moved":
      takeIn(batch, news, row, spec, array, moved.life.state.kind === "over");
      return ReportAnswer.COMMITTED;
  }
}

/** Whether its host lost a run, and its task asked to be tried again then; elsewhere, if another host can take it. */
function retriesLost(batch: Batch, { phase, outcome, attempt, reason, status }: News, row: TaskDoc): boolean {
  if (phase !== "ended" || outcome !== "lost" || attempt !== row.attempt || !isLive(stateOf(row.state))) return false;
  const lease = leaseOf(row);
  if (lease?.after !== "retry") return false;
  giveUp(batch, row, afterLoss(lease, reason, lostBefore(batch, row)), status);
  return true;
}

/** A refusal; or the end of its task, where hosts were unable to start it too often. */
function notForEver(batch: Batch, said: News, row: TaskDoc, array: OpenArray | undefined): News {
  if (!speaksAgainstHost(said.reason)) return said;
  if (row.state !== placedCode || row.attempt !== said.attempt || lifeOf(row, array).request === "kill") return said;
  const earlier = earlierAttempts(batch, row)
    .filter(({ outcome }) => outcome === 0)
    .map(({ reason_code: code, reason_message: message }) => ({ code, message }));
  const end = endOfUnable(said.reason, earlier);
  return end ? { ...said, phase: "ended", outcome: "failed", reason: end } : said;
}

/** Writes a move that the state machine allows, with the sums, and the array's side of it. */
function takeIn(
  batch: Batch,
  news: News,
  row: TaskDoc,
  spec: SpecDoc,
  array: OpenArray | undefined,
  isOver: boolean,
): void {
  const written = batch.announce(changed(batch, news, row, array, isOver), spec);
  batch.sums.moved(spec.user, row.state, written.state);
  if (written.state !== overCode && written.state !== pendingCode) return;
  batch.sums.loaded(news.hostId, -1, spec);
  if (news.phase === "refused") keepAttempt(batch, news, row);
  const used = news.phase === "ended" ? news.status.usage : undefined;
  if (used) batch.sums.charge(chargeOf(spec, used, written.ended_at ?? batch.at));
  if (!array) return;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (used?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (used?.wallMs ?? 0));
  if (written.state === overCode) count(array, outcomeOf(written.outcome)!, 1);
  else array.waiting += 1;
}

function changed(batch: Batch, news: News, row: TaskDoc, array: OpenArray | undefined, isOver: boolean): TaskDoc {
  const { status, reason } = news;
  const startedAt = status.startTime?.getTime();
  const without = (request: "suspend" | "resume") => (row.request === requestCode(request) ? 0 : row.request);
  switch (news.phase) {
    case "running":
      return stateOf(row.state) === "suspended"
        ? { ...row, state: runningCode, request: without("resume") }
        : { ...row, state: runningCode, detail: "", started_at: startedAt ?? batch.at };
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
        ended_at: status.endTime?.getTime() ?? batch.at,
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
      return refused(batch, news, row, array, isOver);
    case "accepted":
    case "preparing":
      return row;
  }
}

/** Back to pending; or, where its end was asked for meanwhile, over. */
function refused(batch: Batch, { reason }: News, row: TaskDoc, array: OpenArray | undefined, isOver: boolean): TaskDoc {
  const avoided = splitList(row.avoid);
  const avoid = speaksAgainstHost(reason) && !avoided.includes(row.host) ? [...avoided, row.host] : avoided;
  const put = { ...row, detail: "", request: 0, avoid: avoid.join(",") };
  if (!isOver) {
    const why = { reason_code: reason.code, reason_message: reason.message };
    return { ...put, ...why, state: pendingCode, outcome: 0, ended_at: null };
  }
  const by = array && array.request === requestCode("kill") ? array.requestBy : row.request_by;
  return {
    ...put,
    state: overCode,
    outcome: outcomeCode("killed"),
    ended_at: batch.at,
    reason_code: "KILLED_BY_USER",
    reason_message: `killed by ${by}`,
  };
}

/** Whether that very run was given up before anybody knew what it used, and its task is over by that. */
const isGivenUp = (row: TaskDoc, { attempt, phase }: News): boolean =>
  phase === "ended" && row.attempt === attempt && row.state >= overCode && row.wall_ms === null;
