import type { Database } from "@berth/database";
import { pendingCode } from "../../decisions/record/codes.ts";
import type { SpecColumns } from "../../decisions/record/columns.ts";
import type { NewRecord } from "../../ports/records.ts";

/** Writes a new task: spec, client key, record, and the cursor of an array. */
export function insertTask(
  db: Database,
  revision: number,
  spec: SpecColumns,
  { loss, runSpec, clientKey, array }: NewRecord,
): void {
  const { number } = spec;
  if (clientKey)
    db.sql("INSERT INTO client_keys (user, key, number, spec_hash) VALUES (?, ?, ?, ?)").run(
      spec.user,
      clientKey.key,
      number,
      clientKey.spec_hash,
    );
  db.sql(
    `INSERT INTO specs (number, user, project, name, is_array, uid, gid, cpu_milli, memory_bytes, created_at, head, deps, run_spec, client_key)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    number,
    spec.user,
    spec.project,
    spec.name,
    spec.is_array,
    spec.uid,
    spec.gid,
    spec.cpu_milli,
    spec.memory_bytes,
    spec.created_at,
    spec.head,
    spec.deps,
    runSpec,
    clientKey?.key ?? null,
  );
  db.sql(
    "INSERT INTO tasks (number, idx, user, state, attempt, revision, lease_ms, retry_on) VALUES (?, -1, ?, ?, 0, ?, ?, ?)",
  ).run(number, spec.user, pendingCode, revision, loss.lease_ms, loss.retry_on);
  if (!array) return;
  const { first, last, step } = array.range;
  db.sql(
    `INSERT INTO arrays (number, first, last, step, max_live, cursor, early, live, waiting, ended, cpu_ms, wall_ms)
     VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, '{}', 0, 0)`,
  ).run(number, first, last, step, array.maxLive, array.cursor);
}
