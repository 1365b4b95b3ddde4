import type { Database } from "@berth/database";
import type { AttemptRecord, TaskKey } from "../../ports/records.ts";
import { reading } from "./task-rows.ts";

/** Throws RECORD_UNREADABLE. */
export function readAttempt(db: Database, { number, idx }: TaskKey, attempt: number): AttemptRecord | undefined {
  const query = db.sql("SELECT * FROM attempts WHERE number = ? AND idx = ? AND attempt = ?");
  return reading(number, idx, () => query.get(number, idx, attempt)) as unknown as AttemptRecord | undefined;
}

/** Throws RECORD_UNREADABLE. */
export function readAttemptsBefore(db: Database, { number, idx }: TaskKey, attempt: number): AttemptRecord[] {
  const query = db.sql("SELECT * FROM attempts WHERE number = ? AND idx = ? AND attempt < ? ORDER BY attempt");
  return reading(number, idx, () => query.all(number, idx, attempt)) as unknown as AttemptRecord[];
}

export function writeAttempt(db: Database, { number, idx }: TaskKey, kept: AttemptRecord): void {
  db.sql(
    `INSERT INTO attempts (number, idx, attempt, host, outcome, reason_code, reason_message, ended_at, cpu_ms, peak_memory_bytes, wall_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET host = excluded.host, outcome = excluded.outcome, reason_code = excluded.reason_code,
     reason_message = excluded.reason_message, ended_at = excluded.ended_at, cpu_ms = excluded.cpu_ms, peak_memory_bytes = excluded.peak_memory_bytes,
     wall_ms = excluded.wall_ms`,
  ).run(
    number,
    idx,
    kept.attempt,
    kept.host,
    kept.outcome,
    kept.reason_code,
    kept.reason_message,
    kept.ended_at,
    kept.cpu_ms,
    kept.peak_memory_bytes,
    kept.wall_ms,
  );
}
