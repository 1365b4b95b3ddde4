import type { Reason } from "@berth/core";
import { chargeOf } from "./record/charge.ts";
import { outcomeCode } from "./record/codes.ts";
import type { ReportedStatus } from "./reported-status.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";
import type { AttemptRecord, Records, TaskKey } from "../ports/records.ts";

/** How many attempts of a task were lost before this one. */
export const lostBefore = (records: Records, row: TaskColumns): number =>
  records.attemptsBefore(row, row.attempt).filter(({ outcome }) => outcome === outcomeCode("lost")).length;

/** Records an attempt that its host refused; nothing ran. */
export function keepAttempt(records: Records, { attempt, hostId, reason }: ReportedStatus, task: TaskKey): void {
  if (records.attempt(task, attempt)) return;
  records.putAttempt(task, {
    ...givenUp(attempt, hostId, reason, records.at),
    outcome: 0,
    cpu_ms: null,
    peak_memory_bytes: null,
    wall_ms: null,
  });
}

const givenUp = (attempt: number, host: string, reason: Reason, endedAt: number) => ({
  attempt,
  host,
  reason_code: reason.code,
  reason_message: reason.message,
  ended_at: endedAt,
});

/** Charges what a superseded or given-up run used, which becomes known only now. Recorded once, beside its task, whose end does not change. */
export function keepLateUse(records: Records, news: ReportedStatus, task: TaskKey, spec: SpecColumns): void {
  const { usage, endTime } = news.status;
  if (news.phase !== "ended" || !usage) return;
  const known = records.attempt(task, news.attempt);
  if (known && known.wall_ms !== null) return;
  const endedAt = endTime?.getTime() ?? records.at;
  const used: AttemptRecord = {
    ...(known ?? givenUp(news.attempt, news.hostId, news.reason, endedAt)),
    outcome: outcomeCode(news.outcome),
    cpu_ms: usage.cpuMs,
    peak_memory_bytes: usage.peakMemoryBytes ?? null,
    wall_ms: usage.wallMs,
    ended_at: endedAt,
  };
  records.putAttempt(task, used);
  records.sums.charge(chargeOf(spec, usage, endedAt));
}
