import { isLive, move, sources } from "@berth/core";
import type { Move, Outcome, Reason, StateKind, TaskRequest } from "@berth/core";
import { outcomeFromWire } from "@berth/contracts";
import { ReportAnswer } from "@berth/contracts/agent";
import type { ReportReply, ReportRequest, RunStatus } from "@berth/contracts/agent";
import type { Database } from "@berth/database";
import { believable } from "../records/believable.ts";
import { chargeOf, sumUp } from "../records/charge.ts";
import {
  killCode,
  outcomeCode,
  outcomeOf,
  overCode,
  pendingCode,
  placedCode,
  requestCode,
  runningCode,
  stateIn,
  stateOf,
  suspendedCode,
} from "../records/codes.ts";
import { feedColumns } from "../records/columns.ts";
import type { FeedColumns, SpecColumns, TaskColumns } from "../records/columns.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { leaseOf } from "../records/lease-column.ts";
import { phaseFromWire } from "../records/report-phase.ts";
import { lifeOf, readId } from "../records/task-life.ts";
import { count } from "../../domain/array-record.ts";
import { afterLoss } from "../../domain/loss.ts";
import { endOfUnable, eventOf, speaksAgainstHost } from "../../domain/news.ts";
import type { Phase } from "../../domain/news.ts";
import type { Batch, OpenArray } from "./batch.ts";
import { giveUp, lostBefore } from "./lose-runs.ts";
import { readTask } from "./task-rows.ts";

/** One status with what is needed to write it. */
interface News {
  readonly hostId: string;
  readonly status: RunStatus;
  readonly phase: Phase;
  readonly number: number;
  readonly idx: number;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly reason: Reason;
}

type Written = FeedColumns & { readonly prior: number; readonly revision: number };

/** One host's reports, in their transaction; an answer for each. */
export function applyReport(db: Database, batch: Batch, epoch: string, report: ReportRequest): ReportReply {
  // A record that cannot be read keeps its own report waiting, until a kill ends it; it is looked at whole before the first write.
  return {
    answers: report.statuses.map(
      (status) =>
        unlessUnreadable(() => answer(db, batch, epoch, report.hostId, believable(status))) ?? ReportAnswer.LATER,
    ),
  };
}

function answer(db: Database, batch: Batch, epoch: string, hostId: string, status: RunStatus): ReportAnswer {
  const phase = phaseFromWire(status.phase);
  if (!phase) return ReportAnswer.LATER; // of a newer agent: nothing is known to be false
  const id = status.run && status.run.epoch === epoch ? readId(status.run.taskId) : undefined;
  const spec = id && batch.spec(id.number);
  if (!status.run || !spec || status.run.attempt < 1) return ReportAnswer.UNKNOWN;
  readTask(db, id.number, id.idx);
  const outcome = outcomeFromWire(status.outcome) ?? "lost";
  const reason = status.reason ?? { code: "", message: "" };
  const said: News = { hostId, status, phase, ...id, attempt: status.run.attempt, outcome, reason };
  const array = spec.is_array === 1 ? batch.array(id.number) : undefined;
  if (phase === "ended" && outcome === "lost" && retryLost(db, batch, said)) return ReportAnswer.COMMITTED;
  const news = phase === "refused" ? notForEver(db, said, array) : said;
  const row = write(db, batch, news, array);
  if (!row) return explain(db, batch, news, spec, array);
  batch.announce(row.revision, row, spec);
  afterMove(db, batch, news, row, spec, array);
  return ReportAnswer.COMMITTED;
}

/** Whether its host lost a run, and its task asked to be tried again then; elsewhere, if another host can take it. */
function retryLost(db: Database, batch: Batch, { number, idx, attempt, hostId, reason, status }: News): boolean {
  const row = readTask(db, number, idx);
  if (!row || row.attempt !== attempt || row.host !== hostId || !isLive(stateOf(row.state))) return false;
  const lease = leaseOf(row);
  if (lease?.after !== "retry") return false;
  giveUp(db, batch, row, afterLoss(lease, reason, lostBefore(db, row)), status);
  return true;
}

/** A refusal; or the end of its task, where hosts were unable to start it too often. */
function notForEver(db: Database, said: News, array: OpenArray | undefined): News {
  const { number, idx, attempt, hostId, reason } = said;
  if (!speaksAgainstHost(reason)) return said;
  const row = readTask(db, number, idx);
  if (!row || row.state !== placedCode || row.attempt !== attempt || row.host !== hostId) return said;
  if (lifeOf(row, array).request === "kill") return said;
  const earlier = db
    .sql(
      "SELECT reason_code AS code, reason_message AS message FROM attempts WHERE number = ? AND idx = ? AND outcome = 0",
    )
    .all(number, idx) as unknown as Reason[];
  const end = endOfUnable(reason, earlier);
  return end ? { ...said, phase: "ended", outcome: "failed", reason: end } : said;
}

/** Conditional on attempt, host and the states that the state machine allows. Texts are made once: a statement is found by its text. */
const update = (what: string, from: readonly StateKind[], more = ""): string =>
  `UPDATE tasks SET prior = state, revision = ?, ${what} WHERE number = ? AND idx = ? AND attempt = ? AND host = ? AND ${stateIn(from)} ${more} RETURNING ${feedColumns}, prior, revision`;

const carriedOut = (request: TaskRequest): string =>
  `request = CASE request WHEN ${requestCode(request)} THEN 0 ELSE request END`;
const killed = `(request = ${killCode} OR ?)`;

const updates = {
  preparing: update("detail = ?", sources.started, "AND detail <> ?"),
  started: update(`state = ${runningCode}, detail = '', started_at = ?`, sources.started),
  resumed: update(`state = ${runningCode}, ${carriedOut("resume")}`, sources.resumed),
  suspended: update(
    `state = ${suspendedCode}, detail = '', ${carriedOut("suspend")}, started_at = coalesce(started_at, ?)`,
    sources.suspended,
  ),
  ended: update(
    `state = ${overCode}, detail = '', request = 0, outcome = ?, reason_code = ?, reason_message = ?, exit_code = ?, signal = ?, started_at = coalesce(?, started_at), ended_at = ?,
     cpu_ms = ?, peak_memory_bytes = ?, wall_ms = ?, stdout_bytes = ?, stderr_bytes = ?, stdout_lost_bytes = ?, stderr_lost_bytes = ?, oom_kills = ?, enforced = ?`,
    sources.ended,
  ),
  // Back to pending; or, where its end was asked for meanwhile, over.
  refused: update(
    `detail = '', request = 0,
     state = CASE WHEN ${killed} THEN ${overCode} ELSE ${pendingCode} END,
     outcome = CASE WHEN ${killed} THEN ${outcomeCode("killed")} ELSE 0 END,
     ended_at = CASE WHEN ${killed} THEN ? ELSE NULL END,
     reason_code = CASE WHEN ${killed} THEN 'KILLED_BY_USER' ELSE ? END,
     reason_message = CASE WHEN ${killed} THEN 'killed by ' || coalesce(?, request_by) ELSE ? END,
     avoid = CASE WHEN ? AND instr(',' || avoid || ',', ',' || host || ',') = 0 THEN CASE avoid WHEN '' THEN host ELSE avoid || ',' || host END ELSE avoid END`,
    sources.refused,
  ),
};

/** The conditional write of one news; undefined where its condition did not hold. */
function write(db: Database, batch: Batch, news: News, array: OpenArray | undefined): Written | undefined {
  const revision = batch.nextRevision();
  const where = [news.number, news.idx, news.attempt, news.hostId] as const;
  const run = (text: string, ...values: (string | number | null)[]) =>
    db.sql(text).get(revision, ...values) as unknown as Written | undefined;
  const { status, reason } = news;
  const startedAt = status.startTime?.getTime();
  switch (news.phase) {
    case "accepted":
      return undefined;
    case "preparing":
      return run(updates.preparing, status.detail, ...where, status.detail);
    case "running":
      return run(updates.started, startedAt ?? batch.at, ...where) ?? run(updates.resumed, ...where);
    case "suspended":
      return run(updates.suspended, startedAt ?? null, ...where);
    case "ended": {
      const { usage, logSizes } = status;
      return run(
        updates.ended,
        outcomeCode(news.outcome),
        reason.code,
        reason.message,
        status.exitCode ?? null,
        status.signal ?? null,
        startedAt ?? null,
        status.endTime?.getTime() ?? batch.at,
        usage?.cpuMs ?? null,
        usage?.peakMemoryBytes ?? null,
        usage?.wallMs ?? null,
        logSizes?.stdoutBytes ?? null,
        logSizes?.stderrBytes ?? null,
        logSizes?.stdoutLostBytes ?? null,
        logSizes?.stderrLostBytes ?? null,
        usage?.oomKills ?? null,
        status.enforced.join(","),
        ...where,
      );
    }
    case "refused": {
      const killedBy = array?.request === killCode ? array.requestBy : null;
      const kill = killedBy === null ? 0 : 1;
      const avoid = speaksAgainstHost(reason) ? 1 : 0;
      return run(
        updates.refused,
        kill,
        kill,
        kill,
        batch.at,
        kill,
        reason.code,
        kill,
        killedBy,
        reason.message,
        avoid,
        ...where,
      );
    }
  }
}

/** Sums, and the array's side of an element's move. */
function afterMove(
  db: Database,
  batch: Batch,
  news: News,
  row: Written,
  spec: SpecColumns,
  array: OpenArray | undefined,
): void {
  batch.sums.moved(spec.user, row.prior, row.state);
  if (row.state !== overCode && row.state !== pendingCode) return;
  batch.sums.loaded(news.hostId, -1, spec);
  if (news.phase === "refused") keepAttempt(db, batch, news);
  const used = news.phase === "ended" ? news.status.usage : undefined;
  if (used) batch.sums.charge(chargeOf(spec, used, row.ended_at ?? batch.at));
  if (!array) return;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (used?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (used?.wallMs ?? 0));
  if (row.state === overCode) count(array, outcomeOf(row.outcome)!, 1);
  else array.waiting += 1;
}

function keepAttempt(db: Database, batch: Batch, news: News): void {
  db.sql(
    "INSERT OR IGNORE INTO attempts (number, idx, attempt, host, outcome, reason_code, reason_message, ended_at) VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
  ).run(news.number, news.idx, news.attempt, news.hostId, news.reason.code, news.reason.message, batch.at);
}

/** The state machine says what the conditional write's finding nothing means. */
function explain(
  db: Database,
  batch: Batch,
  news: News,
  spec: SpecColumns,
  array: OpenArray | undefined,
): ReportAnswer {
  const row = readTask(db, news.number, news.idx);
  if (!row || news.attempt > row.attempt) return ReportAnswer.UNKNOWN;
  // The same run cannot be on two hosts: whoever says so has a copy of another's journal, and is not believed.
  if (news.attempt === row.attempt && row.host !== news.hostId) return ReportAnswer.UNKNOWN;
  const event = eventOf(news.phase, stateOf(row.state), news.attempt, news.outcome, news.reason);
  const onItsWay: Move = { kind: news.attempt < row.attempt || row.state === pendingCode ? "superseded" : "unchanged" };
  const answered = event ? move(lifeOf(row, array), event) : onItsWay;
  switch (answered.kind) {
    case "unchanged":
      if (isGivenUp(row, news)) keepLateUse(db, batch, news, spec);
      return ReportAnswer.COMMITTED;
    case "superseded":
      keepLateUse(db, batch, news, spec);
      return ReportAnswer.SUPERSEDED;
    case "refused":
      return ReportAnswer.UNKNOWN;
    case "moved":
      throw new Error(`${news.number}.${news.idx}: the store refused what the state machine allows (${news.phase})`);
  }
}

/** Whether that very run was given up before anybody knew what it used, and its task is over by that. */
const isGivenUp = (row: TaskColumns, { attempt, phase }: News): boolean =>
  phase === "ended" && row.attempt === attempt && row.state >= overCode && row.wall_ms === null;

/** What a run used that was superseded or given up is known only now; it was used all the same. Beside its task, whose end stands; once. */
function keepLateUse(db: Database, batch: Batch, news: News, spec: SpecColumns): void {
  const { usage, endTime } = news.status;
  if (news.phase !== "ended" || !usage) return;
  const endedAt = endTime?.getTime() ?? batch.at;
  const kept = db
    .sql(
      `INSERT INTO attempts (number, idx, attempt, host, outcome, reason_code, reason_message, ended_at, cpu_ms, peak_memory_bytes, wall_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET outcome = excluded.outcome, ended_at = excluded.ended_at, cpu_ms = excluded.cpu_ms, peak_memory_bytes = excluded.peak_memory_bytes,
       wall_ms = excluded.wall_ms WHERE wall_ms IS NULL`,
    )
    .run(
      news.number,
      news.idx,
      news.attempt,
      news.hostId,
      outcomeCode(news.outcome),
      news.reason.code,
      news.reason.message,
      endedAt,
      usage.cpuMs,
      usage.peakMemoryBytes ?? null,
      usage.wallMs,
    );
  if (Number(kept.changes) > 0) batch.sums.charge(chargeOf(spec, usage, endedAt));
}
