import { killedReason, minHostLeaseMs, move, hostNotFound } from "@berth/core";
import type { Reason } from "@berth/core";
import type { RunStatus } from "@berth/contracts/agent";
import type { LoseRunsRequest, LoseRunsResponse } from "@berth/contracts/store";
import { chargeOf, sumUp } from "./record/charge.ts";
import { killCode, outcomeCode, overCode, pendingCode } from "./record/codes.ts";
import { splitList } from "./record/feed-row.ts";
import { unlessUnreadable } from "./record/damage.ts";
import { leaseOf } from "./record/loss-columns.ts";
import { lifeOf } from "./record/task-life.ts";
import { count } from "../domain/array-record.ts";
import { afterLoss, hostDeclaredLost, hostLost, leaseHasPassed } from "../domain/loss.ts";
import type { Silence } from "../domain/loss.ts";
import { lostBefore } from "./attempts.ts";
import type { TaskColumns } from "./record/columns.ts";
import type { OpenArray, Records } from "../ports/records.ts";

/** Whether any run has to be given up. Called often; the answer is nearly always no. */
export function isLossDue(
  records: Pick<Records, "at" | "leasedOn">,
  silentMs: number,
  request: LoseRunsRequest,
): boolean {
  if (request.by !== "") return true;
  const silence = silenceOf(silentMs, request);
  if (Math.min(silence.silentMs, silence.listenedMs) <= minHostLeaseMs + silence.marginMs) return false;
  return records.leasedOn(request.hostId).some((row) => isDue(row, silence, records.at));
}

const silenceOf = (silentMs: number, { listenedMs, marginMs }: LoseRunsRequest): Silence => ({
  silentMs,
  listenedMs,
  marginMs: Math.max(0, marginMs),
});

/** Gives up runs on a host: those whose lease and margin have passed, or all of them if an operator (`by`) asks. `silentMs`: how long no store has heard from the host. */
export function loseRuns(
  records: Records,
  epoch: string,
  silentMs: number,
  request: LoseRunsRequest,
): LoseRunsResponse {
  const { hostId, by } = request;
  if (records.journalOf(hostId) === undefined) throw hostNotFound(hostId);
  const silence = silenceOf(silentMs, request);
  const lost =
    by === "" ? records.leasedOn(hostId).filter((row) => isDue(row, silence, records.at)) : records.liveOn(hostId);
  records.foresee((look) => {
    for (const row of lost) {
      look.task(row.number, row.idx);
      if (leaseOf(row)) look.attempts(row, row.attempt);
    }
  });
  const reason = by === "" ? hostLost(hostId, silence.silentMs) : hostDeclaredLost(hostId, by);
  const response: LoseRunsResponse = { retried: [], lost: [] };
  for (const row of lost) {
    const run = { epoch, taskId: idOf(row), attempt: row.attempt };
    const lease = leaseOf(row);
    const isRetried = unlessUnreadable(() =>
      giveUp(records, row, afterLoss(lease, reason, lease ? lostBefore(records, row) : 0)),
    );
    if (isRetried === undefined) continue;
    (isRetried ? response.retried : response.lost).push(run);
  }
  if (by !== "") records.declareLost(hostId, by);
  return response;
}

export const isDue = (row: TaskColumns, silence: Silence, now: number): boolean =>
  leaseHasPassed(leaseOf(row), silence, now - (row.placed_at ?? 0));

const idOf = ({ number, idx }: TaskColumns): string => (idx < 0 ? `${number}` : `${number}.${idx}`);

/**
 * Gives up a live record's attempt. Returns true if its task waits again (the attempt is then recorded with its usage), false if it is over. `status`: the host's own report of
 * the loss, if there is one.
 */
export function giveUp(
  records: Records,
  row: TaskColumns,
  { retry, reason }: { readonly retry: boolean; readonly reason: Reason },
  status?: RunStatus,
): boolean {
  const spec = records.spec(row.number)!;
  const array = spec.is_array === 1 ? records.array(row.number) : undefined;
  const moved = move(lifeOf(row, array), { kind: "lost", attempt: row.attempt, retry, reason });
  if (moved.kind !== "moved") throw new Error(`${idOf(row)}: a record that is not live cannot be given up`);
  const isRetried = moved.life.state.kind === "pending";
  const endedAt = status?.endTime?.getTime() ?? records.at;
  const usage = status?.usage;
  const used = {
    cpu_ms: usage?.cpuMs ?? null,
    peak_memory_bytes: usage?.peakMemoryBytes ?? null,
    wall_ms: usage?.wallMs ?? null,
  };
  const written = records.announce(
    isRetried ? waiting(row, reason) : { ...over(row, array, retry, reason, endedAt, status), ...used },
    spec,
  );
  records.sums.moved(spec.user, row.state, written.state);
  records.sums.loaded(row.host, -1, spec);
  if (isRetried) {
    const why = { outcome: outcomeCode("lost"), reason_code: reason.code, reason_message: reason.message };
    if (!records.attempt(row, row.attempt))
      records.putAttempt(row, {
        attempt: row.attempt,
        host: row.host,
        ...why,
        ended_at: endedAt,
        ...used,
      });
  }
  if (usage) records.sums.charge(chargeOf(spec, usage, endedAt));
  if (!array) return isRetried;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (usage?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (usage?.wallMs ?? 0));
  if (moved.life.state.kind === "over") count(array, moved.life.state.outcome, 1);
  else array.waiting += 1;
  return isRetried;
}

function waiting(row: TaskColumns, reason: Reason): TaskColumns {
  const avoid = splitList(row.avoid);
  return {
    ...row,
    state: pendingCode,
    detail: "",
    request: 0,
    reason_code: reason.code,
    reason_message: reason.message,
    started_at: null,
    avoid: (avoid.includes(row.host) ? avoid : [...avoid, row.host]).join(","),
  };
}

/** A task that is to be retried ends only if a kill was requested. */
function over(
  row: TaskColumns,
  array: OpenArray | undefined,
  retry: boolean,
  reason: Reason,
  endedAt: number,
  status: RunStatus | undefined,
): TaskColumns {
  const why = retry ? killedReason(array?.request === killCode ? array.requestBy : row.request_by) : reason;
  return {
    ...row,
    state: overCode,
    detail: "",
    request: 0,
    outcome: outcomeCode(retry ? "killed" : "lost"),
    reason_code: why.code,
    reason_message: why.message,
    started_at: status?.startTime?.getTime() ?? row.started_at,
    ended_at: endedAt,
    stdout_bytes: status?.logSizes?.stdoutBytes ?? null,
    stderr_bytes: status?.logSizes?.stderrBytes ?? null,
    stdout_lost_bytes: status?.logSizes?.stdoutLostBytes ?? null,
    stderr_lost_bytes: status?.logSizes?.stderrLostBytes ?? null,
    oom_kills: status?.usage?.oomKills ?? null,
  };
}
