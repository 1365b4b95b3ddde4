import { RunSpec } from "@berth/contracts/types";
import type { Attempt, Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { wireOutcome } from "../records/codes.ts";
import type { SpecColumns, TaskColumns } from "../records/columns.ts";
import { taskMessage, usageOf } from "../records/task-message.ts";
import type { UsageColumns } from "../records/task-message.ts";
import { readArray } from "./batch.ts";

/** The same with everything: the spec as it was given, mounts and earlier attempts. */
export function fullTaskMessage(db: Database, row: TaskColumns, spec: SpecColumns): Task {
  const array = spec.is_array === 1 ? readArray(db, spec.number) : undefined;
  const stored = db.sql("SELECT run_spec FROM specs WHERE number = ?").get(spec.number)!;
  const runSpec = RunSpec.decode(stored["run_spec"] as Uint8Array);
  const attempts = db
    .sql("SELECT * FROM attempts WHERE number = ? AND idx = ? ORDER BY attempt")
    .all(row.number, row.idx)
    .map((earlier): Attempt => ({
      attempt: Number(earlier["attempt"]),
      hostId: String(earlier["host"]),
      outcome: wireOutcome(Number(earlier["outcome"])),
      reason: { code: String(earlier["reason_code"]), message: String(earlier["reason_message"]) },
      endTime: new Date(Number(earlier["ended_at"])),
      usage: usageOf(earlier as unknown as UsageColumns),
    }));
  return {
    ...taskMessage(row, spec, array),
    spec: runSpec.spec,
    identity: runSpec.identity,
    mounts: runSpec.mounts,
    attempts,
  };
}
