import type { Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { overCode } from "../../decisions/record/codes.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { checkCodes, unlessUnreadable } from "../../decisions/record/damage.ts";
import { asksOnlyLive, readPlace } from "../../decisions/list-filter.ts";
import type { Wanted } from "../../decisions/list-filter.ts";
import { shortMessage } from "../../decisions/record/task-message.ts";
import type { Found } from "../../decisions/record/task-message.ts";
import { readArray } from "./open-array.ts";
import { findTask } from "../../decisions/find-task.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import type { Records } from "../../ports/records.ts";
import { reading } from "./task-rows.ts";

/** Most records per call. A filter that matches few of millions must not block the event loop, so the page may be short. */
const looksAtOnce = 2_000;

type Row = TaskColumns & SpecColumns;

/** Tasks and whole arrays, newest first. */
export function pageOfTasks(db: Database, records: Records, { request, size, wanted }: PageRequest): Page {
  const liveOnly = asksOnlyLive(request);
  const index = liveOnly
    ? request.user === ""
      ? "tasks_live"
      : "tasks_live_by_user"
    : request.user === ""
      ? undefined
      : "tasks_by_user";
  // Walks the specs, because in the records a million elements may lie between two tasks.
  const from = index
    ? `tasks t INDEXED BY ${index} JOIN specs s ON s.number = t.number`
    : "specs s CROSS JOIN tasks t ON t.number = s.number";
  const rows = (columns: string) =>
    db.sql(
      `SELECT ${columns} FROM ${from} WHERE t.idx = -1 AND ${index ? "t" : "s"}.number < ? ${liveOnly ? `AND t.state < ${overCode}` : ""} ${request.user === "" ? "" : "AND t.user = ?"}
     ORDER BY ${index ? "t" : "s"}.number DESC LIMIT ${looksAtOnce}`,
    );
  const before = readPlace(request.pageToken, Number.MAX_SAFE_INTEGER);
  const values = request.user === "" ? [before] : [before, request.user];
  const page = unlessUnreadable(() => {
    const found = rows(`t.*, ${specOfTask}`).iterate(...values);
    try {
      return reading(before, -1, () => pageOf(found, wanted, size, (row) => readFound(db, row)));
    } finally {
      found.return?.(undefined); // where reading a row failed, its statement would hold the database's state of then
    }
  });
  // One row cannot be read, so each is read by itself.
  return (
    page ?? pageOf(rows("t.number").iterate(...values), wanted, size, ({ number }) => findTask(records, `${number}`))
  );
}

const specOfTask =
  "s.project, s.name, s.is_array, s.uid, s.gid, s.cpu_milli, s.memory_bytes, s.created_at, s.head, s.deps";

function readFound(db: Database, found: Record<string, unknown>): Found {
  const row = found as unknown as Row;
  checkCodes(row);
  return { row, spec: row, array: row.is_array === 1 ? readArray(db, row.number) : undefined };
}

function pageOf(
  rows: Iterable<Record<string, unknown>>,
  wanted: Wanted,
  size: number,
  find: (row: Record<string, unknown>) => Found | undefined,
): Page {
  const tasks: Task[] = [];
  let looked = 0;
  for (const row of rows) {
    looked += 1;
    const found = find(row);
    if (found && wanted(found.row, found.spec)) tasks.push(shortMessage(found));
    if (tasks.length === size || looked === looksAtOnce) return { tasks, nextPageToken: `${Number(row["number"])}` };
  }
  return { tasks, nextPageToken: "" };
}
