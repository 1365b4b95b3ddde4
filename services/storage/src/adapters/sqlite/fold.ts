import type { ArrayRange } from "@berth/core";
import type { Database } from "@berth/database";
import { foldable } from "../../decisions/fold.ts";
import { overCode } from "../../decisions/record/codes.ts";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { chunkOf, lastOf } from "../../domain/chunk-range.ts";
import { chunkOfRows } from "../form/folded-chunk.ts";
import type { Step } from "../../ports/task-store.ts";
import { readArray } from "./open-array.ts";
import { chunkRows } from "./folded-elements.ts";
import { shownTasks } from "./salvage.ts";
import { readTask } from "./task-rows.ts";

/** Records looked at per element to fold, because some still live or ended just now. */
const looksAFold = 4;

interface Place {
  readonly number: number;
  readonly idx: number;
}

interface Unsettled extends ArrayRange {
  readonly number: number;
  readonly cursor: number;
  readonly state: number;
  readonly ended_at: number | null;
}

/**
 * Folds ended elements into chunks of their array, one chunk per step. Folds only elements before the cursor; one that was killed beyond it keeps its record until the cursor has
 * passed. A chunk grows as its elements end, and never loses one. The walk goes over all arrays that are not settled. Its position is only in memory, so a restart
 * repeats some reads.
 */
export class Folder {
  readonly #db: Database;
  #place: Place = { number: 0, idx: -1 };

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Folds about `limit` elements that ended before a time, at most one chunk more. Reads at most four times as many records; an array without such elements counts as ten. `more`:
   * the walk is not complete.
   */
  step(limit: number, endedBefore: number): Step {
    let done = 0;
    for (let looks = 0; done < limit && looks < limit * looksAFold;) {
      const number = this.#nextArray();
      if (number === undefined) {
        this.#place = { number: 0, idx: -1 };
        return { done, more: false };
      }
      if (number > this.#place.number) this.#place = { number, idx: -1 };
      const step = unlessUnreadable(() => this.#foldNext(number, endedBefore));
      looks += Math.max(10, step?.looked ?? 0);
      done += step?.done ?? 0;
      this.#place = step?.next ?? { number: number + 1, idx: -1 };
    }
    return { done, more: true };
  }

  /** Folds the next chunk of an array. `next` is where to continue; undefined if nothing is left to fold. Throws RECORD_UNREADABLE before its first write. */
  #foldNext(number: number, endedBefore: number): { done: number; looked: number; next: Place | undefined } {
    const open = readArray(this.#db, number)!;
    const { state, ended_at } = readTask(this.#db, number, -1)!;
    const array: Unsettled = { number, ...open.range, cursor: open.cursor, state, ended_at };
    const rows = this.#nextRecords(array);
    if (rows.length === 0) {
      this.#settle(array);
      return { done: 0, looked: 0, next: undefined };
    }
    const due = foldable(rows, array, endedBefore);
    if (due.length > 0) this.#fold(array, due, due.length === rows.length);
    const next = { number, idx: lastOf(array, chunkOf(array, rows[0]!.idx)) };
    return { done: due.length, looked: rows.length, next };
  }

  #nextArray(): number | undefined {
    const found = this.#db
      .sql(
        `SELECT a.number FROM arrays a INDEXED BY arrays_unsettled JOIN tasks t ON t.number = a.number AND t.idx = -1
         WHERE a.settled = 0 AND a.number >= ? ORDER BY a.number LIMIT 1`,
      )
      .get(this.#place.number);
    return found && Number(found["number"]);
  }

  /** Records of the next chunk that has any, up to the cursor: at most as many as a chunk has indexes. */
  #nextRecords(array: Unsettled): TaskColumns[] {
    const next = this.#db
      .sql("SELECT idx FROM tasks WHERE number = ? AND idx > ? AND idx >= 0 AND idx < ? ORDER BY idx LIMIT 1")
      .get(array.number, this.#place.idx, array.cursor);
    if (!next) return [];
    const idx = Number(next["idx"]);
    return shownTasks(
      this.#db,
      "FROM tasks WHERE number = ? AND idx >= ? AND idx <= ? AND idx < ? ORDER BY idx",
      array.number,
      idx,
      lastOf(array, chunkOf(array, idx)),
      array.cursor,
    );
  }

  #fold(array: Unsettled, due: readonly TaskColumns[], wholeRange: boolean): void {
    const db = this.#db;
    const chunk = chunkOf(array, due[0]!.idx);
    const before = db.sql("SELECT body FROM folded WHERE number = ? AND chunk = ?").get(array.number, chunk);
    const known = before && chunkRows(db, array.number, chunk, before["body"] as Uint8Array).values();
    const { n, outcomes, body } = chunkOfRows(known ?? [], due);
    db.sql(
      `INSERT INTO folded (number, chunk, n, outcomes, body) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET n = excluded.n, outcomes = excluded.outcomes, body = excluded.body`,
    ).run(array.number, chunk, n, outcomes, body);
    if (wholeRange) {
      const [first, last] = [due[0]!.idx, due.at(-1)!.idx];
      db.sql("DELETE FROM tasks WHERE number = ? AND idx >= ? AND idx <= ?").run(array.number, first, last);
    } else for (const { idx } of due) db.sql("DELETE FROM tasks WHERE number = ? AND idx = ?").run(array.number, idx);
  }

  /** Marks an array whose elements are all folded, so that later walks skip it. */
  #settle(array: Unsettled): void {
    if (array.state < overCode) return;
    const record = this.#db.sql("SELECT 1 FROM tasks WHERE number = ? AND idx >= 0 LIMIT 1").get(array.number);
    if (!record) this.#db.sql("UPDATE arrays SET settled = 1 WHERE number = ?").run(array.number);
  }
}
