import { TaskRow } from "@berth/contracts/store";
import type { SnapshotResponse } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { overCode, pendingCode } from "../../decisions/record/codes.ts";
import { feedColumns } from "../../decisions/record/columns.ts";
import type { FeedColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { checkCodes, recordUnreadable, unlessUnreadable } from "../../decisions/record/damage.ts";
import { freshChange, taskChange } from "../../decisions/record/feed-row.ts";
import { yieldToEventLoop } from "./change-feed.ts";
import type { ChangeFeed } from "./change-feed.ts";
import type { HostTable } from "./host-table.ts";
import { findTask } from "../../decisions/find-task.ts";
import type { Records } from "../../ports/records.ts";
import { reading } from "./task-rows.ts";

/** Rows a chunk: some 3 ms of the event loop. */
const rowsAtOnce = 500;

/** A row of a page, as an array: node:sqlite makes those in a third of the time. */
type Row = readonly [
  ...key: Key,
  revision: number,
  state: number,
  fresh: number,
  isArray: number,
  head: Uint8Array,
  deps: Uint8Array | null,
];
type Key = readonly [number: number, idx: number];

const pages = `FROM tasks t INDEXED BY tasks_live JOIN specs s ON s.number = t.number
  WHERE t.state < ${overCode} AND (t.number, t.idx) > (?, ?)`;
/** Waits, was never placed, is no array and nothing was asked of it: then its columns need not be read. */
const fresh = `t.state = ${pendingCode} AND t.attempt = 0 AND t.request = 0 AND t.idx < 0 AND s.is_array = 0 AND t.reason_code = '' AND t.avoid = ''`;
const pageQuery = `SELECT t.number, t.idx, t.revision, t.state, ${fresh}, s.is_array, s.head, s.deps ${pages} ORDER BY t.number, t.idx LIMIT ?`;
const keyQuery = `SELECT t.number, t.idx ${pages} AND t.idx <= ${Number.MAX_SAFE_INTEGER} ORDER BY t.number, t.idx LIMIT ?`;
const restQuery = `SELECT ${feedColumns
  .split(", ")
  .map((name) => `t.${name}`)
  .join(", ")} ${pages} AND (t.number, t.idx) <= (?, ?) AND NOT (${fresh}) LIMIT ?`;

/** A token, the hosts, then the live records in key order with the outcomes of the parents that they wait for. What cannot be read is left out. */
export async function* snapshot(
  db: Database,
  /** What is committed now. */
  look: () => Records,
  feed: ChangeFeed,
  hosts: HostTable,
  epoch: string,
  signal: AbortSignal,
): AsyncGenerator<SnapshotResponse> {
  // Before the first row: what changes while rows are read comes again from the feed, under a larger revision.
  yield { token: feed.token(), epoch, changes: hosts.changes() };
  let after: Key = [0, -1];
  const told = new Set<string>();
  while (!signal.aborted) {
    const records = look();
    const page = readPage(db, records, after, rowsAtOnce, told) ?? readOneByOne(db, records, after, told);
    if (!page.last) return;
    yield { token: "", epoch: "", changes: page.changes };
    after = page.last;
    await yieldToEventLoop();
  }
}

interface Page {
  readonly changes: Buffer[];
  /** Key of its last record; undefined: there is none. */
  readonly last: Key | undefined;
}

/** The next records after a key; undefined where one of them cannot be read. */
function readPage(db: Database, records: Records, after: Key, atMost: number, told: Set<string>): Page | undefined {
  const page = db.sql(pageQuery);
  page.setReturnArrays(true);
  const toldNow = new Set<string>();
  const changes = unlessUnreadable(() => {
    const rows = reading(after[0], after[1], () => page.all(...after, atMost)) as unknown as Row[];
    const last = rows.at(-1);
    const upTo: Key | undefined = last && [last[0], last[1]];
    const rest =
      upTo && rows.some((row) => row[4] === 0)
        ? reading(after[0], after[1], () => liveRows(db, after, upTo, atMost))
        : undefined;
    return { last: upTo, changes: rows.flatMap((row) => changesOf(records, row, rest, told, toldNow)) };
  });
  if (changes) for (const parent of toldNow) told.add(parent);
  return changes;
}

/** The same page, without the records that cannot be read. */
function readOneByOne(db: Database, records: Records, after: Key, told: Set<string>): Page {
  const keys = db.sql(keyQuery).all(...after, rowsAtOnce) as unknown as { number: number; idx: number }[];
  const changes = keys.flatMap(({ number, idx }) => readPage(db, records, [number, idx - 1], 1, told)?.changes ?? []);
  const last = keys.at(-1);
  return { changes, last: last && [last.number, last.idx] };
}

function changesOf(
  records: Records,
  [number, idx, revision, state, isFresh, isArray, head, deps]: Row,
  rest: ReadonlyMap<string, FeedColumns> | undefined,
  told: ReadonlySet<string>,
  toldNow: Set<string>,
): Buffer[] {
  const changes: Buffer[] = [];
  for (const parent of deps !== null && state === pendingCode ? parentsOf(number, deps) : []) {
    if (told.has(parent) || toldNow.has(parent)) continue;
    const change = endedParent(records, parent);
    if (!change) continue;
    toldNow.add(parent);
    changes.push(change);
  }
  if (isFresh === 1) changes.push(freshChange(revision, number, { head, deps }));
  else {
    const array = isArray === 1 && idx < 0 ? records.array(number) : undefined;
    changes.push(taskChange(revision, rest!.get(`${number}.${idx}`)!, { head, deps }, array));
  }
  return changes;
}

function liveRows(db: Database, after: Key, upTo: Key, atMost: number): Map<string, FeedColumns> {
  const rows = db.sql(restQuery).all(...after, ...upTo, atMost) as unknown as (FeedColumns & TaskColumns)[];
  for (const row of rows) checkCodes(row);
  return new Map(rows.map((row) => [`${row.number}.${row.idx}`, row]));
}

function parentsOf(number: number, deps: Uint8Array): string[] {
  try {
    return TaskRow.decode(deps).dependencies.map((dependency) => dependency.taskId);
  } catch (error) {
    throw recordUnreadable(number, -1, "its dependencies", error);
  }
}

/** The feed row of a task that is over; undefined where it lives and has a row of its own. */
function endedParent(records: Records, id: string): Buffer | undefined {
  const found = findTask(records, id);
  if (!found || found.row.state < overCode) return undefined;
  return taskChange(found.row.revision, found.row, found.spec, found.array);
}
