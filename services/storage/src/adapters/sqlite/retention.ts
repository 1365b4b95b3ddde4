import { TaskRow } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { overCode, pendingCode } from "../../decisions/record/codes.ts";
import type { SpecColumns } from "../../decisions/record/columns.ts";
import { readId } from "../../decisions/record/task-life.ts";

/** Chunks and attempts of a deleted array removed per step, which takes about ten milliseconds. */
const chunksAtOnce = 200;
const attemptsAtOnce = 1_000;

/** Phases of `expiry`. */
const [over, archived, going] = [0, 1, 2];

/** Tasks and arrays that ended before a time and are not archived. An array is archived as a whole, once all its elements are folded. */
export function expired(db: Database, before: number, limit: number): string[] {
  return db
    .sql(
      `SELECT e.number FROM expiry e INDEXED BY expiry_by_time LEFT JOIN arrays a ON a.number = e.number
       WHERE e.phase = ${over} AND e.over_at <= ? AND coalesce(a.settled, 1) = 1 ORDER BY e.over_at, e.number LIMIT ?`,
    )
    .all(before, limit)
    .map((row) => String(row["number"]));
}

/** Whether an array is over and all its elements are folded. True for a single task. */
export const isSettled = (db: Database, number: number): boolean =>
  (db.sql("SELECT settled FROM arrays WHERE number = ?").get(number)?.["settled"] ?? 1) === 1;

export const markArchived = (db: Database, number: number): void => {
  db.sql(`UPDATE expiry SET phase = ${archived} WHERE number = ?`).run(number);
};

/** Archived tasks that ended before, from where the last step was; first what is left of deleted arrays goes. The newest number stays: numbers go on from it. */
export function deletable(
  db: Database,
  waitedFor: WaitedFor,
  before: number,
  limit: number,
): { readonly numbers: readonly number[]; readonly more: boolean } {
  if (removeRest(db)) return { numbers: [], more: true };
  // A task that a pending one waits for is skipped; later ones are not held up by it.
  const { overAt, number: after } = waitedFor.place;
  const found = db
    .sql(
      `SELECT number, over_at FROM expiry INDEXED BY expiry_by_time WHERE phase = ${archived} AND over_at <= ? AND (over_at, number) > (?, ?)
       AND number < (SELECT max(number) FROM specs) ORDER BY over_at, number LIMIT ?`,
    )
    .all(before, overAt, after, limit);
  const last = found.length === limit ? found.at(-1) : undefined;
  waitedFor.place = last ? { overAt: Number(last["over_at"]), number: Number(last["number"]) } : beginning;
  return { numbers: found.map(({ number }) => Number(number)), more: last !== undefined };
}

/** Deletes a task's records and its key. Of an array its own record goes first: from then on nothing of it is found, and its chunks follow in steps. */
export function removeRecords(db: Database, { number, user, is_array }: SpecColumns): void {
  const key = db.sql("SELECT client_key FROM specs WHERE number = ?").get(number)!["client_key"];
  if (key !== null)
    db.sql("DELETE FROM client_keys WHERE user = ? AND key = ? AND number = ?").run(user, String(key), number);
  for (const table of ["tasks", "specs", "arrays"]) db.sql(`DELETE FROM ${table} WHERE number = ?`).run(number);
  if (is_array === 1) db.sql(`UPDATE expiry SET phase = ${going} WHERE number = ?`).run(number);
  else {
    db.sql("DELETE FROM attempts WHERE number = ?").run(number);
    db.sql("DELETE FROM expiry WHERE number = ?").run(number);
  }
}

/** Removes some remains of deleted arrays. False if none are left. */
function removeRest(db: Database): boolean {
  const going1 = db.sql(`SELECT number FROM expiry INDEXED BY expiry_by_time WHERE phase = ${going} LIMIT 1`).get();
  if (!going1) return false;
  const number = Number(going1["number"]);
  const chunks = db
    .sql(
      `DELETE FROM folded WHERE number = ? AND chunk IN (SELECT chunk FROM folded WHERE number = ? ORDER BY chunk LIMIT ${chunksAtOnce})`,
    )
    .run(number, number);
  const attempts = db
    .sql(
      `DELETE FROM attempts WHERE number = ? AND (idx, attempt) IN (SELECT idx, attempt FROM attempts WHERE number = ? ORDER BY idx, attempt LIMIT ${attemptsAtOnce})`,
    )
    .run(number, number);
  if (Number(chunks.changes) < chunksAtOnce && Number(attempts.changes) < attemptsAtOnce)
    db.sql("DELETE FROM expiry WHERE number = ?").run(number);
  return true;
}

/** Empty if they are damaged, in which case the task is not started either. */
function parentsOf(deps: Uint8Array): number[] {
  try {
    return TaskRow.decode(deps).dependencies.flatMap(({ taskId }) => readId(taskId)?.number ?? []);
  } catch {
    return [];
  }
}

const beginning = { overAt: Number.MIN_SAFE_INTEGER, number: 0 };

/** How long the set of awaited tasks is cached. */
const lookAgainMs = 600_000;

/** Tasks that a pending task waits for. A new scheduler may need their outcomes again, so they are not deleted. */
export class WaitedFor {
  readonly #db: Database;
  /** Position of the deletion among archived tasks; only in memory. */
  place = beginning;
  #numbers: Set<number> | undefined;
  #readAt = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  has(number: number, now: number): boolean {
    if (!this.#numbers || Math.abs(now - this.#readAt) > lookAgainMs) {
      this.#numbers = new Set();
      this.#readAt = now;
      const rows = this.#db
        .sql(
          `SELECT s.deps FROM tasks t INDEXED BY tasks_live JOIN specs s ON s.number = t.number
           WHERE t.state < ${overCode} AND t.state = ${pendingCode} AND t.idx = -1 AND s.deps IS NOT NULL`,
        )
        .iterate();
      for (const { deps } of rows) for (const number of parentsOf(deps as Uint8Array)) this.note(number);
    }
    return this.#numbers.has(number);
  }

  /** Notes that a newly submitted task waits for this one. */
  note(number: number): void {
    this.#numbers?.add(number);
  }
}
