import { stateFromWire } from "@berth/contracts";
import type { ListTasksRequest, ListTasksResponse } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { overCode, stateCode } from "../records/codes.ts";
import { specColumns } from "../records/columns.ts";
import type { SpecColumns, TaskColumns } from "../records/columns.ts";
import { filterOf, invalid, readPlace } from "../records/list-filter.ts";
import { readId } from "../records/task-life.ts";
import { taskMessage, unrecordedRow } from "../records/task-message.ts";
import { readArray } from "./batch.ts";
import { listElements } from "./list-elements.ts";
import { readTask } from "./task-rows.ts";

/** How many records one call looks at before it answers with what it found: a rare name among millions must not stop everything else. */
const looksAtOnce = 2_000;

type Row = TaskColumns & SpecColumns;
type Page = Omit<ListTasksResponse, "watchToken">;

/** Tasks by filter, newest first; or elements by index. A page may be short, or empty, and yet have a next one. */
export function listTasks(db: Database, request: ListTasksRequest): Page {
  const size = request.pageSize === 0 ? 100 : request.pageSize;
  if (size < 1 || size > 1_000) throw invalid("page_size", "must be from 1 to 1000");
  if (request.taskIds.length > 1_000) throw invalid("task_ids", "must be at most 1000");
  const wanted = filterOf(request);
  if (request.taskIds.length > 0) return byId(db, request, wanted);
  if (request.arrayId === "") return byNumber(db, request, size, wanted);
  return listElements(db, request, size, (fallback) => readPlace(request.pageToken, fallback), wanted);
}

function byNumber(
  db: Database,
  request: ListTasksRequest,
  size: number,
  wanted: (row: TaskColumns, spec: SpecColumns) => boolean,
): Page {
  const liveOnly =
    request.states.length > 0 &&
    request.states.every((state) => stateCode(stateFromWire(state) ?? "archived") < overCode);
  const index = liveOnly
    ? request.user === ""
      ? "tasks_live"
      : "tasks_live_by_user"
    : request.user === ""
      ? undefined
      : "tasks_by_user";
  // All tasks of all users are walked by their specs: by their records, a million elements would stand between two of them.
  const from = index
    ? `tasks t INDEXED BY ${index} JOIN specs s ON s.number = t.number`
    : "specs s CROSS JOIN tasks t ON t.number = s.number";
  const rows = db.sql(
    `SELECT t.*, s.project, s.name, s.is_array, s.uid, s.gid, s.cpu_milli, s.memory_bytes, s.created_at, s.head, s.deps
     FROM ${from} WHERE t.idx = -1 AND ${index ? "t" : "s"}.number < ? ${liveOnly ? `AND t.state < ${overCode}` : ""} ${request.user === "" ? "" : "AND t.user = ?"}
     ORDER BY ${index ? "t" : "s"}.number DESC LIMIT ${looksAtOnce}`,
  );
  const before = readPlace(request.pageToken, Number.MAX_SAFE_INTEGER);
  const tasks: Task[] = [];
  let looked = 0;
  for (const found of rows.iterate(...(request.user === "" ? [before] : [before, request.user]))) {
    const row = found as unknown as Row;
    looked += 1;
    if (wanted(row, row)) tasks.push(taskMessage(row, row, row.is_array === 1 ? readArray(db, row.number) : undefined));
    if (tasks.length === size || looked === looksAtOnce) return { tasks, nextPageToken: `${row.number}` };
  }
  return { tasks, nextPageToken: "" };
}

function byId(db: Database, request: ListTasksRequest, wanted: (row: TaskColumns, spec: SpecColumns) => boolean): Page {
  const tasks: Task[] = [];
  for (const id of request.taskIds) {
    const found = findTask(db, id);
    if (found && wanted(found.row, found.spec))
      tasks.push(
        taskMessage(found.row, found.spec, found.spec.is_array === 1 ? readArray(db, found.spec.number) : undefined),
      );
  }
  return { tasks, nextPageToken: "" };
}

/** The record of a task, an array or an element, made up where an element has none; undefined where there is no such task. */
export function findTask(
  db: Database,
  id: string,
): { readonly row: TaskColumns; readonly spec: SpecColumns } | undefined {
  const at = readId(id);
  const spec =
    at &&
    (db.sql(`SELECT ${specColumns} FROM specs WHERE number = ?`).get(at.number) as unknown as SpecColumns | undefined);
  if (!spec || (at.idx >= 0 && spec.is_array === 0)) return undefined;
  const recorded = readTask(db, at.number, at.idx);
  if (recorded) return { row: recorded, spec };
  const array = readArray(db, at.number);
  const row = array && unrecordedRow(array, readTask(db, at.number, -1)!, at.idx);
  return row && { row, spec };
}
