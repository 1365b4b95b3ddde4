import type { Reason } from "@berth/core";
import { chargeOf } from "../records/charge.ts";
import { outcomeCode } from "../records/codes.ts";
import type { Batch } from "./batch.ts";
import { attemptKey } from "./collections.ts";
import type { AttemptDoc, TaskDoc } from "./collections.ts";
import type { Needs } from "./needs.ts";
import type { News } from "./news.ts";
import type { SpecDoc } from "./spec-doc.ts";

/** Keys of a task's first attempts: they are asked for by name, many tasks' in one question. */
const firstAttempts = ({ number, idx }: TaskDoc, n: number): string[] =>
  Array.from({ length: n }, (_, before) => attemptKey(number, idx, before + 1));

/** What is kept of a task's attempts, the present one included. */
export function attemptNeeds(needs: Needs, row: TaskDoc): void {
  for (const id of firstAttempts(row, row.attempt)) needs.attempts.add(id);
}

/** The attempts before the present one, in their order. */
export const earlierAttempts = (batch: Batch, row: TaskDoc): AttemptDoc[] =>
  firstAttempts(row, row.attempt - 1).flatMap((id) => batch.attempt(id) ?? []);

/** How many attempts of a task were lost, without the present one. */
export const lostBefore = (batch: Batch, row: TaskDoc): number =>
  earlierAttempts(batch, row).filter(({ outcome }) => outcome === outcomeCode("lost")).length;

/** Keeps an attempt that its host refused; nothing ran. */
export function keepAttempt(batch: Batch, { attempt, hostId, reason }: News, { number, idx }: TaskDoc): void {
  const id = attemptKey(number, idx, attempt);
  if (batch.attempt(id)) return;
  batch.changes.attempts.set(id, {
    ...givenUp(id, attempt, hostId, reason, batch.at),
    outcome: 0,
    cpu_ms: null,
    peak_memory_bytes: null,
    wall_ms: null,
  });
}

const givenUp = (_id: string, attempt: number, host: string, reason: Reason, endedAt: number) => ({
  _id,
  attempt,
  host,
  reason_code: reason.code,
  reason_message: reason.message,
  ended_at: endedAt,
});

/** What a run used that was superseded or given up is known only now; it was used all the same. Beside its task, whose end stands; once. */
export function keepLateUse(batch: Batch, news: News, { number, idx }: TaskDoc, spec: SpecDoc): void {
  const { usage, endTime } = news.status;
  if (news.phase !== "ended" || !usage) return;
  const id = attemptKey(number, idx, news.attempt);
  const known = batch.attempt(id);
  if (known && known.wall_ms !== null) return;
  const endedAt = endTime?.getTime() ?? batch.at;
  const used: AttemptDoc = {
    ...(known ?? givenUp(id, news.attempt, news.hostId, news.reason, endedAt)),
    outcome: outcomeCode(news.outcome),
    cpu_ms: usage.cpuMs,
    peak_memory_bytes: usage.peakMemoryBytes ?? null,
    wall_ms: usage.wallMs,
    ended_at: endedAt,
  };
  batch.changes.attempts.set(id, used);
  batch.sums.charge(chargeOf(spec, usage, endedAt));
}
