import { RunSpec } from "@berth/contracts/types";
import type { Attempt, Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { overCode, wireOutcome } from "../records/codes.ts";
import type { TaskColumns } from "../records/columns.ts";
import { recordUnreadable, toReason, unlessUnreadable } from "../records/damage.ts";
import { shortMessage, usageOf } from "../records/task-message.ts";
import type { Found } from "../records/task-message.ts";
import type { UsageColumns } from "../records/task-message.ts";
import { encodedSpec, reading } from "./task-rows.ts";

/** The same with everything: the spec as it was given, mounts and earlier attempts; without what is damaged of it. */
export function fullTaskMessage(db: Database, found: Found): Task {
  const { row } = found;
  const short = shortMessage(found);
  const attempts = attemptsOf(db, row);
  try {
    const { spec, identity, mounts } = RunSpec.decode(encodedSpec(db, row.number));
    return { ...short, spec, identity, mounts, attempts };
  } catch (error) {
    const reason = toReason(recordUnreadable(row.number, row.idx, "run_spec", error));
    return { ...short, ...(row.state < overCode ? { reason } : {}), attempts };
  }
}

function attemptsOf(db: Database, { number, idx }: TaskColumns): Attempt[] {
  const query = db.sql("SELECT * FROM attempts WHERE number = ? AND idx = ? ORDER BY attempt");
  const rows = unlessUnreadable(() => reading(number, idx, () => query.all(number, idx))) ?? [];
  return rows.map((earlier): Attempt => ({
    attempt: Number(earlier["attempt"]),
    hostId: String(earlier["host"]),
    outcome: wireOutcome(Number(earlier["outcome"])),
    reason: { code: String(earlier["reason_code"]), message: String(earlier["reason_message"]) },
    endTime: new Date(Number(earlier["ended_at"])),
    usage: usageOf(earlier as unknown as UsageColumns),
  }));
}
