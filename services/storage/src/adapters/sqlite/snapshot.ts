import { TaskRow } from "@berth/contracts/store";
import type { SnapshotResponse } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { outcomeCode, overCode, pendingCode } from "../records/codes.ts";
import { feedColumns, freshRow, specColumns } from "../records/columns.ts";
import type { FeedColumns, SpecColumns } from "../records/columns.ts";
import { freshChange, taskChange } from "../records/feed-row.ts";
import { readId } from "../records/task-life.ts";
import { unrecorded } from "../../domain/array-record.ts";
import { readArray } from "./batch.ts";
import { breath } from "./change-feed.ts";
import type { ChangeFeed } from "./change-feed.ts";
import type { HostTable } from "./host-table.ts";
import { readTask } from "./task-rows.ts";

/** Rows a chunk: some 3 ms of the event loop. */
const rowsAtOnce = 500;

/** A row of a page, as an array: node:sqlite makes those in a third of the time. */
type Key = readonly [number: number, idx: number, revision: number, state: number, fresh: number, isArray: number];
type Row = readonly [...Key, head: Uint8Array, deps: Uint8Array | null];

const pages = `FROM tasks t INDEXED BY tasks_live JOIN specs s ON s.number = t.number
  WHERE t.state < ${overCode} AND (t.number, t.idx) > (?, ?)`;
/** Waits, was never placed, is no array and nothing was asked of it: then its columns need not be read. */
const fresh = `t.state = ${pendingCode} AND t.attempt = 0 AND t.request = 0 AND t.idx < 0 AND s.is_array = 0 AND t.reason_code = '' AND t.avoid = ''`;
const pageQuery = `SELECT t.number, t.idx, t.revision, t.state, ${fresh}, s.is_array, s.head, s.deps ${pages} ORDER BY t.number, t.idx LIMIT ${rowsAtOnce}`;
const restQuery = `SELECT ${feedColumns
  .split(", ")
  .map((name) => `t.${name}`)
  .join(", ")} ${pages} AND (t.number, t.idx) <= (?, ?) AND NOT (${fresh})`;

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
  const page = db.sql(pageQuery);
  page.setReturnArrays(true);
  let after: readonly [number, number] = [0, -1];
  const told = new Set<string>();
  while (!signal.aborted) {
    const rows = page.all(...after) as unknown as Row[];
    const last = rows.at(-1);
    if (!last) return;
    const upTo = [last[0], last[1]] as const;
    const rest = rows.some((row) => row[4] === 0) ? liveRows(db, after, upTo) : undefined;
    const changes: Buffer[] = [];
    for (const [number, idx, revision, state, isFresh, isArray, head, deps] of rows) {
      if (deps !== null && state === pendingCode) {
        for (const parent of parentsOf(deps)) {
          if (told.has(parent)) continue;
          const change = endedParent(db, parent);
          if (!change) continue;
          told.add(parent);
          changes.push(change);
        }
      }
      if (isFresh === 1) changes.push(freshChange(revision, number, { head, deps }));
      else {
        const array = isArray === 1 && idx < 0 ? readArray(db, number) : undefined;
        changes.push(taskChange(revision, rest!.get(`${number}.${idx}`)!, { head, deps }, array));
      }
    }
    yield { token: "", epoch: "", changes };
    after = upTo;
    await breath();
  }
}

function liveRows(
  db: Database,
  after: readonly [number, number],
  upTo: readonly [number, number],
): Map<string, FeedColumns> {
  const rows = db.sql(restQuery).all(...after, ...upTo) as unknown as FeedColumns[];
  return new Map(rows.map((row) => [`${row.number}.${row.idx}`, row]));
}

const parentsOf = (deps: Uint8Array): string[] =>
  TaskRow.decode(deps).dependencies.map((dependency) => dependency.taskId);

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
