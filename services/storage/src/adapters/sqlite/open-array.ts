import type { Outcome } from "@berth/core";
import type { Database } from "@berth/database";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import { checkArray, recordUnreadable } from "../../decisions/record/damage.ts";
import type { OpenArray } from "../../ports/records.ts";
import { reading, readTask } from "./task-rows.ts";

interface ArrayColumns {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  readonly max_live: number;
  readonly cursor: number;
  readonly early: number;
  readonly live: number;
  readonly waiting: number;
  readonly ended: string;
  readonly cpu_ms: number;
  readonly wall_ms: number;
}

/** Throws RECORD_UNREADABLE. */
export const readArray = (db: Database, number: number): OpenArray | undefined =>
  openArray(db, number, () => readTask(db, number, -1));

/** `record`: reads the array's own record. */
export function openArray(db: Database, number: number, record: () => TaskColumns | undefined): OpenArray | undefined {
  const query = db.sql(
    "SELECT first, last, step, max_live, cursor, early, live, waiting, ended, cpu_ms, wall_ms FROM arrays WHERE number = ?",
  );
  const row = reading(number, -1, () => query.get(number)) as unknown as ArrayColumns | undefined;
  const whole = row && record();
  if (!whole) return undefined;
  const array: OpenArray = {
    number,
    range: { first: row.first, last: row.last, step: row.step },
    maxLive: row.max_live,
    cursor: row.cursor,
    early: row.early,
    live: row.live,
    waiting: row.waiting,
    ended: endedOf(number, row.ended),
    state: whole.state,
    request: whole.request,
    requestBy: whole.request_by,
    verdict: undefined,
    loss: whole,
    cpuMs: row.cpu_ms,
    wallMs: row.wall_ms,
    dirty: false,
  };
  checkArray(number, array);
  return array;
}

function endedOf(number: number, ended: string): Map<Outcome, number> {
  try {
    return new Map(Object.entries(JSON.parse(ended) as Record<Outcome, number>) as [Outcome, number][]);
  } catch (error) {
    throw recordUnreadable(number, -1, "the counts of its ended elements", error);
  }
}
