import type { Database } from "@berth/database";
import type { TaskColumns } from "../records/columns.ts";
import { readFolded } from "./folded-elements.ts";

/** A task's, an array's or an element's record, folded or not. */
export function readTask(db: Database, number: number, idx: number): TaskColumns | undefined {
  const row = db.sql("SELECT * FROM tasks WHERE number = ? AND idx = ?").get(number, idx);
  return (row as unknown as TaskColumns | undefined) ?? (idx < 0 ? undefined : readFolded(db, number, idx));
}
