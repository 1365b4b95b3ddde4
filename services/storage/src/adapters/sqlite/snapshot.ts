import { TaskRow } from "@berth/contracts/store";
import type { SnapshotResponse } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { unrecorded } from "../../domain/array-record.ts";
import { readArray } from "./batch.ts";
import { breath } from "./change-feed.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { outcomeCode, overCode, pendingCode } from "./codes.ts";
import { freshRow, specColumns } from "./columns.ts";
import type { SpecColumns, TaskColumns } from "./columns.ts";
import { taskChange } from "./feed-row.ts";
import type { HostTable } from "./host-table.ts";
import { readId, readTask } from "./task-rows.ts";

/** Rows a chunk: some 3 ms of the event loop. */
const rowsAtOnce = 500;

type Row = TaskColumns & SpecColumns;

/** A token, the hosts, then the live records in key order with the outcomes of the parents that they wait for. */
export async function* snapshot(
  db: Database,
  feed: ChangeFeed,
  hosts: HostTable,
  epoch: string,
  signal: AbortSignal,
): AsyncGenerator<SnapshotResponse> {
  // Before the first row: what changes while rows are read comes again from the feed, under a larger revision.
  yield { token: feed.token(), epoch, changes: hosts.changes() };
  const page = db.sql(
    `SELECT t.*, s.project, s.name, s.is_array, s.uid, s.gid, s.cpu_milli, s.memory_bytes, s.created_at, s.head, s.deps
     FROM tasks t INDEXED BY tasks_live JOIN specs s ON s.number = t.number
     WHERE t.state < ${overCode} AND (t.number, t.idx) > (?, ?) ORDER BY t.number, t.idx LIMIT ${rowsAtOnce}`,
  );
  let after: readonly [number, number] = [0, -1];
  const told = new Set<string>();
  while (!signal.aborted) {
    const rows = page.all(...after) as unknown as Row[];
    const last = rows.at(-1);
    if (!last) return;
    const changes: Buffer[] = [];
    for (const row of rows) {
      for (const parent of parentsOf(row)) {
        if (told.has(parent)) continue;
        const change = endedParent(db, parent);
        if (!change) continue;
        told.add(parent);
        changes.push(change);
      }
      changes.push(liveChange(db, row));
    }
    yield { token: "", epoch: "", changes };
    after = [last.number, last.idx];
    await breath();
  }
}

const liveChange = (db: Database, row: Row): Buffer =>
  taskChange(row.revision, row, row, row.is_array === 1 && row.idx < 0 ? readArray(db, row.number) : undefined);

const parentsOf = (row: Row): string[] =>
  row.deps === null || row.state !== pendingCode
    ? []
    : TaskRow.decode(row.deps).dependencies.map((dependency) => dependency.taskId);

/** The feed row of a task that is over; undefined where it lives and has a row of its own. */
function endedParent(db: Database, id: string): Buffer | undefined {
  const at = readId(id);
  const spec =
    at &&
    (db.sql(`SELECT ${specColumns} FROM specs WHERE number = ?`).get(at.number) as unknown as SpecColumns | undefined);
  if (!spec) return undefined;
  const array = spec.is_array === 1 ? readArray(db, at.number) : undefined;
  const row = readTask(db, at.number, at.idx);
  if (row)
    return row.state < overCode ? undefined : taskChange(row.revision, row, spec, at.idx < 0 ? array : undefined);
  if (!array || unrecorded(array, at.idx) !== "ended") return undefined;
  // Ended within its array's range, without a record of its own.
  const whole = readTask(db, at.number, -1)!;
  return taskChange(
    whole.revision,
    {
      ...freshRow(at.number, at.idx, overCode),
      outcome: outcomeCode("killed"),
      reason_code: "KILLED_BY_USER",
      reason_message: "killed with its array",
    },
    spec,
  );
}
