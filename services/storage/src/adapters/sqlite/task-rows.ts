import type { Database } from "@berth/database";
import type { TaskColumns } from "../records/columns.ts";
import { readFolded } from "./folded-elements.ts";

/** A task's, an array's or an element's record, folded or not. */
export function readTask(db: Database, number: number, idx: number): TaskColumns | undefined {
  const row = db.sql("SELECT * FROM tasks WHERE number = ? AND idx = ?").get(number, idx);
  return (row as unknown as TaskColumns | undefined) ?? (idx < 0 ? undefined : readFolded(db, number, idx));
}

/** The spec as it was given, of a task that is there. */
export const encodedSpec = (db: Database, number: number): Uint8Array =>
  db.sql("SELECT run_spec FROM specs WHERE number = ?").get(number)!["run_spec"] as Uint8Array;
