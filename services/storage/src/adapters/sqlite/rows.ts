import type { Database } from "@berth/database";
import { freshTask } from "../../decisions/record/columns.ts";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import type { SqlValue } from "./task-rows.ts";

/** Columns of a record that may change, in the order of `toRow`. */
const changing = [
  "state",
  "attempt",
  "revision",
  "request",
  "request_by",
  "host",
  "journal",
  "detail",
  "avoid",
  "outcome",
  "reason_code",
  "reason_message",
  "exit_code",
  "signal",
  "placed_at",
  "started_at",
  "ended_at",
  "cpu_ms",
  "peak_memory_bytes",
  "wall_ms",
  "stdout_bytes",
  "stderr_bytes",
  "stdout_lost_bytes",
  "stderr_lost_bytes",
  "oom_kills",
  "enforced",
  "lease_ms",
  "retry_on",
] as const satisfies readonly (keyof TaskColumns)[];

export const rowColumns = ["number", "idx", "user", ...changing].join(", ");

/** A row of `rowColumns` as an array, which node:sqlite makes in a third of the time of an object. */
export function toRow(values: readonly unknown[]): TaskColumns {
  return {
    number: values[0] as number,
    idx: values[1] as number,
    user: values[2] as string,
    state: values[3] as number,
    attempt: values[4] as number,
    revision: values[5] as number,
    request: values[6] as number,
    request_by: values[7] as string,
    host: values[8] as string,
    journal: values[9] as string,
    detail: values[10] as string,
    avoid: values[11] as string,
    outcome: values[12] as number,
    reason_code: values[13] as string,
    reason_message: values[14] as string,
    exit_code: values[15] as number | null,
    signal: values[16] as number | null,
    placed_at: values[17] as number | null,
    started_at: values[18] as number | null,
    ended_at: values[19] as number | null,
    cpu_ms: values[20] as number | null,
    peak_memory_bytes: values[21] as number | null,
    wall_ms: values[22] as number | null,
    stdout_bytes: values[23] as number | null,
    stderr_bytes: values[24] as number | null,
    stdout_lost_bytes: values[25] as number | null,
    stderr_lost_bytes: values[26] as number | null,
    oom_kills: values[27] as number | null,
    enforced: values[28] as string,
    lease_ms: values[29] as number,
    retry_on: values[30] as string,
  };
}

/** Statements by the set of columns that they write, one bit per column. Only few sets occur. */
const updates = new Map<number, string>();
const inserts = new Map<number, string>();
/** Default values of columns. `state`, `attempt` and `revision` have none. */
const blank: TaskColumns = { ...freshTask(0, -1, "", -1), attempt: -1, revision: -1 };

/** Writes the columns in which a record differs from what is stored. */
export function updateRow(db: Database, before: TaskColumns, row: TaskColumns): void {
  const { set, values } = changesOf(before, row);
  let text = updates.get(set);
  if (text === undefined) {
    const columns = namesOf(set).map((name) => `${name} = ?`);
    updates.set(set, (text = `UPDATE tasks SET ${columns.join(", ")} WHERE number = ? AND idx = ?`));
  }
  if (set !== 0) db.sql(text).run(...values, row.number, row.idx);
}

/** Inserts a record. Columns that it leaves out get the table's default. */
export function insertRow(db: Database, row: TaskColumns): void {
  const { set, values } = changesOf(blank, row);
  let text = inserts.get(set);
  if (text === undefined) {
    const names = namesOf(set);
    const places = names.map(() => ", ?").join("");
    inserts.set(set, (text = `INSERT INTO tasks (number, idx, user, ${names.join(", ")}) VALUES (?, ?, ?${places})`));
  }
  db.sql(text).run(row.number, row.idx, row.user, ...values);
}

function changesOf(before: TaskColumns, row: TaskColumns): { readonly set: number; readonly values: SqlValue[] } {
  let set = 0;
  const values: SqlValue[] = [];
  for (let at = 0; at < changing.length; at++) {
    const name = changing[at]!;
    const value = row[name] ?? null;
    if (value === (before[name] ?? null)) continue;
    set |= 1 << at;
    values.push(value);
  }
  return { set, values };
}

const namesOf = (set: number) => changing.filter((_, at) => (set & (1 << at)) !== 0);
