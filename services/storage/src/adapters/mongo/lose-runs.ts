import { AppError, killedReason, move } from "@berth/core";
import type { Reason } from "@berth/core";
import type { RunStatus } from "@berth/contracts/agent";
import type { LoseRunsRequest, LoseRunsResponse } from "@berth/contracts/store";
import { chargeOf, sumUp } from "../records/charge.ts";
import { killCode, outcomeCode, overCode, pendingCode } from "../records/codes.ts";
import { splitList } from "../records/feed-row.ts";
import { unlessUnreadable } from "../records/damage.ts";
import { leaseOf } from "../records/lease-column.ts";
import { lifeOf } from "../records/task-life.ts";
import { count } from "../../domain/array-record.ts";
import { afterLoss, hostDeclaredLost, hostLost, leaseHasPassed } from "../../domain/loss.ts";
import type { Silence } from "../../domain/loss.ts";
import { attemptNeeds, lostBefore } from "./attempts.ts";
import type { Batch } from "./batch.ts";
import type { OpenArray } from "./open-array.ts";
import { attemptKey } from "./collections.ts";
import type { TaskDoc } from "./collections.ts";
import type { Hosts } from "./hosts.ts";

/** Gives up runs on a host: those whose lease and margin have passed, or, for an operator, all. `silentMs`: for how long no copy has heard of it. */
export function loseRuns(
  batch: Batch,
  hosts: Hosts,
  epoch: string,
  silentMs: number,
  request: LoseRunsRequest,
): LoseRunsResponse {
  const { hostId, by, listenedMs, marginMs } = request;
  const host = batch.host(hostId);
  if (!host)
    throw new AppError("not-found", "HOST_NOT_FOUND", `there is no host ${hostId}`, { metadata: { host_id: hostId } });
  const silence: Silence = { silentMs, listenedMs, marginMs: Math.max(0, marginMs) };
  const live = batch.liveOn(hostId);
  const lost = by === "" ? live.filter((row) => isDue(row, silence, batch.at)) : live;
  batch.foresee((needs) => {
    for (const row of lost) {
      needs.task(row.number, row.idx);
      if (leaseOf(row)) attemptNeeds(needs, row);
    }
  });
  const reason = by === "" ? hostLost(hostId, silence.silentMs) : hostDeclaredLost(hostId, by);
  const response: LoseRunsResponse = { retried: [], lost: [] };
  for (const row of lost) {
    const run = { epoch, taskId: idOf(row), attempt: row.attempt };
    const lease = leaseOf(row);
    const isRetried = unlessUnreadable(() =>
      giveUp(batch, row, afterLoss(lease, reason, lease ? lostBefore(batch, row) : 0)),
    );
    if (isRetried === undefined) continue;
    (isRetried ? response.retried : response.lost).push(run);
  }
  if (by !== "") hosts.put(batch, { ...host, silent: true, lost_by: by, revision: batch.nextRevision() });
  return response;
}

export const isDue = (row: TaskDoc, silence: Silence, now: number): boolean =>
  leaseHasPassed(leaseOf(row), silence, now - (row.placed_at ?? 0));

const idOf = ({ number, idx }: TaskDoc): string => (idx < 0 ? `${number}` : `${number}.${idx}`);

/**
 * Gives up a live record's attempt. True: its task waits again, and the attempt is kept with what it used. False: it is over. `status`: what its host said of
 * the loss, where it said so.
 */
export function giveUp(
  batch: Batch,
  row: TaskDoc,
  { retry, reason }: { readonly retry: boolean; readonly reason: Reason },
  status?: RunStatus,
): boolean {
  const spec = batch.spec(row.number)!;
  const array = spec.is_array === 1 ? batch.array(row.number) : undefined;
  const moved = move(lifeOf(row, array), { kind: "lost", attempt: row.attempt, retry, reason });
  if (moved.kind !== "moved") throw new Error(`${idOf(row)}: a record that is not live cannot be given up`);
  const isRetried = moved.life.state.kind === "pending";
  const endedAt = status?.endTime?.getTime() ?? batch.at;
  const usage = status?.usage;
  const used = {
    cpu_ms: usage?.cpuMs ?? null,
    peak_memory_bytes: usage?.peakMemoryBytes ?? null,
    wall_ms: usage?.wallMs ?? null,
  };
  const written = batch.announce(
    isRetried ? waiting(row, reason) : { ...over(row, array, retry, reason, endedAt, status), ...used },
    spec,
  );
  batch.sums.moved(spec.user, row.state, written.state);
  batch.sums.loaded(row.host, -1, spec);
  if (isRetried) {
    const id = attemptKey(row.number, row.idx, row.attempt);
    const why = { outcome: outcomeCode("lost"), reason_code: reason.code, reason_message: reason.message };
    if (!batch.attempt(id))
      batch.changes.attempts.set(id, {
        _id: id,
        attempt: row.attempt,
        host: row.host,
        ...why,
        ended_at: endedAt,
        ...used,
      });
  }
  if (usage) batch.sums.charge(chargeOf(spec, usage, endedAt));
  if (!array) return isRetried;
  array.dirty = true;
  array.live -= 1;
  array.cpuMs = sumUp(array.cpuMs + (usage?.cpuMs ?? 0));
  array.wallMs = sumUp(array.wallMs + (usage?.wallMs ?? 0));
  if (moved.life.state.kind === "over") count(array, moved.life.state.outcome, 1);
  else array.waiting += 1;
  return isRetried;
}

function waiting(row: TaskDoc, reason: Reason): TaskDoc {
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

/** One that is retried ends only because somebody asked for its end. */
function over(
  row: TaskDoc,
  array: OpenArray | undefined,
  retry: boolean,
  reason: Reason,
  endedAt: number,
  status: RunStatus | undefined,
): TaskDoc {
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
