import type { Database } from "@berth/database";
import { overCode } from "../../decisions/record/codes.ts";
import { specColumns } from "../../decisions/record/columns.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { salvage, shownRow } from "../../decisions/record/damage.ts";
import type { Salvaged, Stored } from "../../decisions/record/damage.ts";
import { isOutOfRange } from "./task-rows.ts";
import type { SqlValue } from "./task-rows.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";

/** A row as stored. Numbers outside the safe range are bigints. */
function stored(db: Database, text: string, ...values: SqlValue[]): Stored | undefined {
  const statement = db.sql(`${text} -- as stored`);
  statement.setReadBigInts(true);
  return statement.get(...values);
}

/** The readable part of a damaged record; undefined if there is no record. */
export function salvaged(db: Database, number: number, idx: number): Salvaged | undefined {
  const task = stored(db, "SELECT * FROM tasks WHERE number = ? AND idx = ?", number, idx);
  const spec = stored(db, `SELECT ${specColumns} FROM specs WHERE number = ?`, number);
  if (!task || !spec) return undefined;
  const isArray = idx < 0 && spec["is_array"] === 1n;
  const array = isArray ? (stored(db, "SELECT * FROM arrays WHERE number = ?", number) ?? {}) : undefined;
  return salvage(number, idx, task, spec, array);
}

/** Elements of an array that have a record and are not over. */
export const livingElements = (db: Database, number: number): number[] =>
  db
    .sql(
      `SELECT idx FROM tasks INDEXED BY tasks_live WHERE number = ? AND idx >= 0 AND idx <= ${Number.MAX_SAFE_INTEGER} AND state < ${overCode}`,
    )
    .all(number)
    .map(({ idx }) => Number(idx));

/** Writes a record that can be read in the place of a damaged one. An array's elements, should any be left, are never folded: its range may be another one now. */
export function replaceRecord(db: Database, row: TaskColumns, spec: SpecColumns, array: ArrayRecord | undefined): void {
  const { number, idx, user: _, ...columns } = row;
  const names = Object.keys(columns);
  db.sql(`UPDATE tasks SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE number = ? AND idx = ?`).run(
    ...(Object.values(columns) as SqlValue[]),
    number,
    idx,
  );
  db.sql(
    "UPDATE specs SET uid = ?, gid = ?, cpu_milli = ?, memory_bytes = ?, created_at = ?, head = ?, deps = ? WHERE number = ?",
  ).run(spec.uid, spec.gid, spec.cpu_milli, spec.memory_bytes, spec.created_at, spec.head, spec.deps, number);
  if (!array) return;
  db.sql(
    `INSERT INTO arrays (number, first, last, step, max_live, cursor, early, live, waiting, ended, cpu_ms, wall_ms, settled)
     VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, ?, 0, 0, 1) ON CONFLICT DO UPDATE SET first = excluded.first, last = excluded.last, step = excluded.step,
     max_live = excluded.max_live, cursor = excluded.cursor, early = 0, live = 0, waiting = 0, ended = excluded.ended, cpu_ms = 0, wall_ms = 0, settled = 1`,
  ).run(
    number,
    array.range.first,
    array.range.last,
    array.range.step,
    array.maxLive,
    array.cursor,
    JSON.stringify(Object.fromEntries(array.ended)),
  );
}

/** Records of a query, `from` being all of it behind its columns; of damaged ones what can be read. */
export function shownTasks(db: Database, from: string, ...values: SqlValue[]): TaskColumns[] {
  try {
    return db.sql(`SELECT * ${from}`).all(...values) as unknown as TaskColumns[];
  } catch (error) {
    if (!isOutOfRange(error)) throw error;
    const keys = db.sql(`SELECT number, idx ${from}`).all(...values);
    return keys.flatMap(({ number, idx }) => {
      const found = salvaged(db, Number(number), Number(idx));
      return found ? [shownRow(found)] : [];
    });
  }
}
