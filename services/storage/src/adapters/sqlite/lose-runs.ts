import { AppError, killedReason, minHostLeaseMs, move } from "@berth/core";
import type { Reason } from "@berth/core";
import type { RunStatus } from "@berth/contracts/agent";
import type { LoseRunsRequest, LoseRunsResponse } from "@berth/contracts/store";
import type { Run } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { chargeOf, sumUp } from "../records/charge.ts";
import { killCode, outcomeCode, overCode, pendingCode, placedCode, suspendedCode } from "../records/codes.ts";
import { feedColumns } from "../records/columns.ts";
import type { FeedColumns, TaskColumns } from "../records/columns.ts";
import { splitList } from "../records/feed-row.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { leaseOf } from "../records/lease-column.ts";
import { lifeOf } from "../records/task-life.ts";
import { count } from "../../domain/array-record.ts";
import { afterLoss, hostDeclaredLost, hostLost, leaseHasPassed } from "../../domain/loss.ts";
import type { Silence } from "../../domain/loss.ts";
import type { Batch, OpenArray } from "./batch.ts";
import type { HostTable } from "./host-table.ts";
import { readableTasks } from "./task-rows.ts";

/** Live records on a host that have a lease; reads nothing of others. */
const leasedOn = "tasks_leased WHERE lease_ms <> 0 AND state IN (2, 3, 4) AND host = ? ORDER BY number, idx";
const liveOn = `tasks_live WHERE state < ${overCode} AND state BETWEEN ${placedCode} AND ${suspendedCode} AND host = ? ORDER BY number, idx`;

/** Whether any run is to be given up: asked often, and nearly always answered with no. */
export function isLossDue(db: Database, hosts: HostTable, request: LoseRunsRequest, now: number): boolean {
  if (request.by !== "") return true;
  const silence = silenceOf(hosts, request, now);
  if (Math.min(silence.silentMs, silence.listenedMs) <= minHostLeaseMs + silence.marginMs) return false;
  return rows(db, leasedOn, request.hostId).some((row) => isDue(row, silence, now));
}

/** Gives up runs on a host, in its transaction: those whose lease and margin have passed, or, for an operator, all. */
export function loseRuns(
  db: Database,
  batch: Batch,
  hosts: HostTable,
  epoch: string,
  request: LoseRunsRequest,
): LoseRunsResponse {
  const { hostId, by } = request;
  if (hosts.journalOf(hostId) === undefined)
    throw new AppError("not-found", "HOST_NOT_FOUND", `there is no host ${hostId}`, { metadata: { host_id: hostId } });
  const silence = silenceOf(hosts, request, batch.at);
  const lost =
    by === "" ? rows(db, leasedOn, hostId).filter((row) => isDue(row, silence, batch.at)) : rows(db, liveOn, hostId);
  const reason = by === "" ? hostLost(hostId, silence.silentMs) : hostDeclaredLost(hostId, by);
  const response: LoseRunsResponse = { retried: [], lost: [] };
  for (const row of lost) {
    const run: Run = { epoch, taskId: idOf(row), attempt: row.attempt };
    const isRetried = unlessUnreadable(() =>
      giveUp(db, batch, row, afterLoss(leaseOf(row), reason, lostBefore(db, row))),
    );
    if (isRetried === undefined) continue;
    (isRetried ? response.retried : response.lost).push(run);
  }
  return response;
}

const rows = (db: Database, text: string, hostId: string): TaskColumns[] =>
  readableTasks(db, `FROM tasks INDEXED BY ${text}`, hostId);

const silenceOf = (hosts: HostTable, { hostId, listenedMs, marginMs }: LoseRunsRequest, now: number): Silence => ({
  silentMs: hosts.silentMs(hostId, now),
  listenedMs,
  marginMs: Math.max(0, marginMs),
});

const isDue = (row: TaskColumns, silence: Silence, now: number): boolean =>
  leaseHasPassed(leaseOf(row), silence, now - (row.placed_at ?? 0));

const idOf = ({ number, idx }: TaskColumns): string => (idx < 0 ? `${number}` : `${number}.${idx}`);

/** How many attempts of a task were lost, without the present one. */
export const lostBefore = (db: Database, { number, idx }: Pick<TaskColumns, "number" | "idx">): number =>
  Number(
    db
      .sql(`SELECT count(*) AS n FROM attempts WHERE number = ? AND idx = ? AND outcome = ${outcomeCode("lost")}`)
      .get(number, idx)?.["n"] ?? 0,
  );

/**
 * Gives up a live record's attempt. True: its task waits again, and the attempt is kept with what it used. False: it is over. `status`: what its host said of
 * the loss, where it said so.
 */
export function giveUp(
  db: Database,
  batch: Batch,
  row: TaskColumns,
  { retry, reason }: { readonly retry: boolean; readonly reason: Reason },
  status?: RunStatus,
): boolean {
  const spec = batch.spec(row.number)!;
  const array = spec.is_array === 1 ? batch.array(row.number) : undefined;
  const moved = move(lifeOf(row, array), { kind: "lost", attempt: row.attempt, retry, reason });
  if (moved.kind !== "moved") throw new Error(`${idOf(row)}: a record that is not live cannot be given up`);
  const { state } = moved.life;
  const isRetried = state.kind === "pending";
  const endedAt = status?.endTime?.getTime() ?? batch.at;
  const revision = batch.nextRevision();
  const written = isRetried
    ? writePending(db, row, reason, revision)
    : writeOver(db, row, reasonOf(row, array, retry, reason), revision, endedAt, status);
  batch.announce(revision, written, spec);
  batch.sums.moved(spec.user, row.state, written.state);
  batch.sums.loaded(row.host, -1, spec);
  if (isRetried) keepLost(db, row, reason, endedAt, status);
  const usage = status?.usage;
  if (usage) batch.sums.charge(chargeOf(spec, usage, endedAt));
  if (!array) return isRetried;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (usage?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (usage?.wallMs ?? 0));
  if (state.kind === "over") count(array, state.outcome, 1);
  else array.waiting += 1;
  return isRetried;
}

/** One that is retried ends only because somebody asked for its end. */
function reasonOf(
  row: TaskColumns,
  array: OpenArray | undefined,
  retry: boolean,
  reason: Reason,
): { readonly outcome: "killed" | "lost"; readonly reason: Reason } {
  if (!retry) return { outcome: "lost", reason };
  return { outcome: "killed", reason: killedReason(array?.request === killCode ? array.requestBy : row.request_by) };
}

function writePending(db: Database, row: TaskColumns, reason: Reason, revision: number): FeedColumns {
  const avoid = splitList(row.avoid);
  return db
    .sql(
      `UPDATE tasks SET prior = state, state = ${pendingCode}, revision = ?, detail = '', request = 0, reason_code = ?, reason_message = ?, started_at = NULL, avoid = ?
       WHERE number = ? AND idx = ? RETURNING ${feedColumns}`,
    )
    .get(
      revision,
      reason.code,
      reason.message,
      (avoid.includes(row.host) ? avoid : [...avoid, row.host]).join(","),
      row.number,
      row.idx,
    ) as unknown as FeedColumns;
}

function writeOver(
  db: Database,
  row: TaskColumns,
  { outcome, reason }: ReturnType<typeof reasonOf>,
  revision: number,
  endedAt: number,
  status: RunStatus | undefined,
): FeedColumns {
  const { usage, logSizes } = status ?? {};
  return db
    .sql(
      `UPDATE tasks SET prior = state, state = ${overCode}, revision = ?, detail = '', request = 0, outcome = ?, reason_code = ?, reason_message = ?, started_at = coalesce(?, started_at), ended_at = ?,
       cpu_ms = ?, peak_memory_bytes = ?, wall_ms = ?, stdout_bytes = ?, stderr_bytes = ?, stdout_lost_bytes = ?, stderr_lost_bytes = ?, oom_kills = ? WHERE number = ? AND idx = ? RETURNING ${feedColumns}`,
    )
    .get(
      revision,
      outcomeCode(outcome),
      reason.code,
      reason.message,
      status?.startTime?.getTime() ?? null,
      endedAt,
      usage?.cpuMs ?? null,
      usage?.peakMemoryBytes ?? null,
      usage?.wallMs ?? null,
      logSizes?.stdoutBytes ?? null,
      logSizes?.stderrBytes ?? null,
      logSizes?.stdoutLostBytes ?? null,
      logSizes?.stderrLostBytes ?? null,
      usage?.oomKills ?? null,
      row.number,
      row.idx,
    ) as unknown as FeedColumns;
}

function keepLost(
  db: Database,
  row: TaskColumns,
  reason: Reason,
  endedAt: number,
  status: RunStatus | undefined,
): void {
  db.sql(
    `INSERT OR IGNORE INTO attempts (number, idx, attempt, host, outcome, reason_code, reason_message, ended_at, cpu_ms, peak_memory_bytes, wall_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    row.number,
    row.idx,
    row.attempt,
    row.host,
    outcomeCode("lost"),
    reason.code,
    reason.message,
    endedAt,
    status?.usage?.cpuMs ?? null,
    status?.usage?.peakMemoryBytes ?? null,
    status?.usage?.wallMs ?? null,
  );
}
