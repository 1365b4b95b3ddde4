import type { Database } from "@berth/database";
import { specColumns } from "../../decisions/record/columns.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { checkCodes, recordUnreadable, unlessUnreadable } from "../../decisions/record/damage.ts";
import { readFolded } from "./folded-elements.ts";

/** What a statement takes. */
export type SqlValue = string | number | null | Uint8Array;

/** Answers what `read` does. Throws RECORD_UNREADABLE where a stored number is no safe integer: SQLite's adapter refuses to give those out. */
export function reading<T>(number: number, idx: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isOutOfRange(error)) throw error;
    throw recordUnreadable(number, idx, error.message, error);
  }
}

export const isOutOfRange = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";

/** A task's, an array's or an element's record, folded or not. Throws RECORD_UNREADABLE. */
export function readTask(db: Database, number: number, idx: number): TaskColumns | undefined {
  const row = reading(number, idx, () =>
    db.sql("SELECT * FROM tasks WHERE number = ? AND idx = ?").get(number, idx),
  ) as unknown as TaskColumns | undefined;
  if (row) checkCodes(row);
  return row ?? (idx < 0 ? undefined : readFolded(db, number, idx));
}

/** Records of a query, `from` being all of it behind its columns; those that cannot be read are left out. */
export function readableTasks(db: Database, from: string, ...values: SqlValue[]): TaskColumns[] {
  try {
    return db.sql(`SELECT * ${from}`).all(...values) as unknown as TaskColumns[];
  } catch (error) {
    if (!isOutOfRange(error)) throw error;
    const keys = db.sql(`SELECT number, min(idx, ${Number.MAX_SAFE_INTEGER}) AS idx ${from}`).all(...values);
    return keys.flatMap(({ number, idx }) => unlessUnreadable(() => readTask(db, Number(number), Number(idx))) ?? []);
  }
}

/** What never changes of a task. Throws RECORD_UNREADABLE. */
export const readSpec = (db: Database, number: number): SpecColumns | undefined =>
  reading(number, -1, () => db.sql(`SELECT ${specColumns} FROM specs WHERE number = ?`).get(number)) as unknown as
    | SpecColumns
    | undefined;

/** The spec as it was given, of a task that is there. */
export const encodedSpec = (db: Database, number: number): Uint8Array =>
  db.sql("SELECT run_spec FROM specs WHERE number = ?").get(number)!["run_spec"] as Uint8Array;
