import { arraySize } from "@berth/core";
import { TaskRow } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { overCode, pendingCode, stateCode } from "../records/codes.ts";
import { feedColumns } from "../records/columns.ts";
import type { FeedColumns, SpecColumns } from "../records/columns.ts";
import { readId } from "../records/task-life.ts";
import type { Step } from "../../ports/task-store.ts";
import type { Batch } from "./batch.ts";

const archivedCode = stateCode("archived");

/** Chunks and attempts of a deleted array that go in one step: some ten milliseconds. */
const chunksAtOnce = 200;
const attemptsAtOnce = 1_000;

/** Phases of `expiry`. */
const [over, archived, going] = [0, 1, 2];

/** Tasks and whole arrays that ended before, and are not archived. An array comes when all its elements are folded: then it is archived as one. */
export function expired(db: Database, before: number, limit: number): string[] {
  return db
    .sql(
      `SELECT e.number FROM expiry e INDEXED BY expiry_by_time LEFT JOIN arrays a ON a.number = e.number
       WHERE e.phase = ${over} AND e.over_at <= ? AND coalesce(a.settled, 1) = 1 ORDER BY e.over_at, e.number LIMIT ?`,
    )
    .all(before, limit)
    .map((row) => String(row["number"]));
}

/** Marks ended tasks as archived, arrays with all that is in them. Answers how many were not before. */
export function archive(db: Database, batch: Batch, taskIds: readonly string[]): number {
  let done = 0;
  for (const id of taskIds) {
    const at = readId(id);
    const spec = at && at.idx < 0 ? batch.spec(at.number) : undefined;
    if (!spec) continue;
    const array = spec.is_array === 1 ? batch.array(spec.number) : undefined;
    const revision = batch.nextRevision();
    const row = db
      .sql(
        `UPDATE tasks SET prior = state, state = ${archivedCode}, revision = ? WHERE number = ? AND idx = -1 AND state = ${overCode}
         AND coalesce((SELECT settled FROM arrays WHERE number = ?), 1) = 1 RETURNING ${feedColumns}`,
      )
      .get(revision, spec.number, spec.number) as unknown as FeedColumns | undefined;
    if (!row) continue;
    db.sql(`UPDATE expiry SET phase = ${archived} WHERE number = ?`).run(spec.number);
    batch.announce(revision, row, spec, array);
    batch.sums.moved(spec.user, overCode, archivedCode, array ? arraySize(array.range) : 1);
    done += 1;
  }
  return done;
}

/**
 * Deletes records of archived tasks that ended before. An array's own record goes first: from then on nothing of it is found, and its chunks follow in steps.
 * The newest number stays: numbers go on from it.
 */
export function deleteRecords(db: Database, batch: Batch, waitedFor: WaitedFor, before: number, limit: number): Step {
  if (removeRest(db)) return { done: 0, more: true };
  const found = db
    .sql(
      `SELECT number FROM expiry INDEXED BY expiry_by_time WHERE phase = ${archived} AND over_at <= ?
       AND number < (SELECT max(number) FROM specs) ORDER BY over_at LIMIT ?`,
    )
    .all(before, limit);
  let done = 0;
  for (const { number } of found) {
    const spec = batch.spec(Number(number));
    if (!spec || waitedFor.has(spec.number, batch.at)) continue;
    deleteOne(db, batch, spec);
    done += 1;
  }
  return { done, more: found.length === limit && done > 0 };
}

function deleteOne(db: Database, batch: Batch, spec: SpecColumns): void {
  const { number, user } = spec;
  const array = spec.is_array === 1 ? batch.array(number) : undefined;
  const key = db.sql("SELECT client_key FROM specs WHERE number = ?").get(number)!["client_key"];
  if (key !== null)
    db.sql("DELETE FROM client_keys WHERE user = ? AND key = ? AND number = ?").run(user, String(key), number);
  for (const table of ["tasks", "specs", "arrays"]) db.sql(`DELETE FROM ${table} WHERE number = ?`).run(number);
  if (array) db.sql(`UPDATE expiry SET phase = ${going} WHERE number = ?`).run(number);
  else {
    db.sql("DELETE FROM attempts WHERE number = ?").run(number);
    db.sql("DELETE FROM expiry WHERE number = ?").run(number);
  }
  batch.sums.moved(user, archivedCode, 0, array ? arraySize(array.range) : 1);
}

/** Removes some of what is left of an array that was deleted; false: nothing is left of any. */
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

/** How long a task that was waited for is still taken to be. */
const lookAgainMs = 600_000;

/** Tasks that a pending one waits for: their outcome is needed as long as that one may be judged again, by a new scheduler. */
export class WaitedFor {
  readonly #db: Database;
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
      for (const { deps } of rows)
        for (const { taskId } of TaskRow.decode(deps as Uint8Array).dependencies) this.note(taskId);
    }
    return this.#numbers.has(number);
  }

  /** A task that is submitted now waits for that one. */
  note(taskId: string): void {
    const number = readId(taskId)?.number;
    if (number !== undefined) this.#numbers?.add(number);
  }
}
