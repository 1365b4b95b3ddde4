import type { Database } from "@berth/database";
import type { Outcome } from "@berth/core";
import { killCode, outcomeCode, overCode } from "../records/codes.ts";
import { feedColumns } from "../records/columns.ts";
import type { FeedColumns, SpecColumns } from "../records/columns.ts";
import { taskChange } from "../records/feed-row.ts";
import { arrayOutcome, isDone } from "../../domain/array-record.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import { checkArray, recordUnreadable } from "../records/damage.ts";
import { RunningSums } from "./running-sums.ts";
import { reading, readSpec, readTask } from "./task-rows.ts";

/** Gives out revisions. The only writer of the database owns the only one. A failed transaction leaves a gap, which nobody minds. */
export interface Revisions {
  last: number;
}

/** An array while a transaction works on it. */
export interface OpenArray extends ArrayRecord {
  readonly number: number;
  /** Running from the first claim on. */
  state: number;
  request: number;
  requestBy: string;
  /** Set where the array as a whole was ended otherwise than by its elements. */
  verdict: { readonly outcome: Outcome; readonly code: string; readonly message: string } | undefined;
  /** Of each of its runs; see leaseColumn. */
  readonly leaseMs: number;
  cpuMs: number;
  wallMs: number;
  dirty: boolean;
}

interface ArrayColumns {
  readonly number: number;
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
  readonly state: number;
  readonly request: number;
  readonly request_by: string;
  readonly lease_ms: number;
}

/** One write of the store, inside its transaction: announces changes, and folds what changes many times (arrays, sums) into one write each. */
export class Batch {
  readonly at: number;
  readonly sums: RunningSums;
  readonly #db: Database;
  readonly #revisions: Revisions;
  readonly #specs = new Map<number, SpecColumns | undefined>();
  readonly #arrays = new Map<number, OpenArray | undefined>();

  constructor(db: Database, revisions: Revisions, at: number) {
    this.#db = db;
    this.#revisions = revisions;
    this.at = at;
    this.sums = new RunningSums(db);
  }

  nextRevision(): number {
    return (this.#revisions.last += 1);
  }

  spec(number: number): SpecColumns | undefined {
    if (this.#specs.has(number)) return this.#specs.get(number);
    const spec = readSpec(this.#db, number);
    this.#specs.set(number, spec);
    return spec;
  }

  /** What is known of a task from before its damaged record was replaced. */
  forget(number: number): void {
    this.#specs.delete(number);
  }

  array(number: number): OpenArray | undefined {
    if (this.#arrays.has(number)) return this.#arrays.get(number);
    const array = readArray(this.#db, number);
    this.#arrays.set(number, array);
    return array;
  }

  /** Whether an element is in `tasks`: folded ones are all before the cursor. */
  hasRecord(number: number, idx: number): boolean {
    return this.#db.sql("SELECT 1 FROM tasks WHERE number = ? AND idx = ?").get(number, idx) !== undefined;
  }

  /** Puts a task's or element's new form into the feed, under a revision that was written with it. */
  announce(revision: number, row: FeedColumns, spec: SpecColumns, array?: ArrayRecord): void {
    this.announceEncoded(revision, spec.user, taskChange(revision, row, spec, array));
    // By our clock: the host's says when it ended, and may be wrong by years.
    if (row.state === overCode && row.idx < 0)
      this.#db.sql("INSERT OR IGNORE INTO expiry (number, phase, over_at) VALUES (?, 0, ?)").run(row.number, this.at);
  }

  announceEncoded(revision: number, user: string | null, change: Uint8Array): void {
    this.#db
      .sql("INSERT INTO changes (revision, at, user, row) VALUES (?, ?, ?, ?)")
      .run(revision, this.at, user, change);
  }

  /** Writes what was folded. Last thing in the transaction. */
  flush(): void {
    for (const array of this.#arrays.values()) if (array?.dirty) this.#writeArray(array);
    this.sums.flush();
  }

  #writeArray(array: OpenArray): void {
    const spec = this.spec(array.number)!;
    const revision = this.nextRevision();
    this.#db
      .sql(
        "UPDATE arrays SET cursor = ?, early = ?, live = ?, waiting = ?, ended = ?, cpu_ms = ?, wall_ms = ? WHERE number = ?",
      )
      .run(
        array.cursor,
        array.early,
        array.live,
        array.waiting,
        JSON.stringify(Object.fromEntries(array.ended)),
        array.cpuMs,
        array.wallMs,
        array.number,
      );
    const over = isDone(array);
    if (over) {
      const killedBy = array.request === killCode ? array.requestBy : undefined;
      const counted = arrayOutcome(array, killedBy);
      const end = array.verdict ?? { outcome: counted.outcome, ...counted.reason };
      this.#db
        .sql(
          "UPDATE tasks SET prior = state, state = ?, request = 0, outcome = ?, reason_code = ?, reason_message = ?, ended_at = ?, cpu_ms = ?, wall_ms = ?, revision = ? WHERE number = ? AND idx = -1",
        )
        .run(
          overCode,
          outcomeCode(end.outcome),
          end.code,
          end.message,
          this.at,
          array.cpuMs,
          array.wallMs,
          revision,
          array.number,
        );
    } else {
      this.#db
        .sql(
          "UPDATE tasks SET prior = state, state = ?, request = ?, request_by = ?, started_at = CASE WHEN ? > 0 THEN coalesce(started_at, ?) ELSE started_at END, revision = ? WHERE number = ? AND idx = -1",
        )
        .run(array.state, array.request, array.requestBy, array.live, this.at, revision, array.number);
    }
    const row = this.#db
      .sql(`SELECT ${feedColumns} FROM tasks WHERE number = ? AND idx = -1`)
      .get(array.number) as unknown as FeedColumns;
    this.announce(revision, row, spec, array);
  }
}

/** Throws RECORD_UNREADABLE. */
export function readArray(db: Database, number: number): OpenArray | undefined {
  const row = reading(number, -1, () => arrayRow(db, number));
  if (!row) return undefined;
  readTask(db, number, -1);
  const array: OpenArray = {
    number,
    range: { first: row.first, last: row.last, step: row.step },
    maxLive: row.max_live,
    cursor: row.cursor,
    early: row.early,
    live: row.live,
    waiting: row.waiting,
    ended: endedOf(row),
    state: row.state,
    request: row.request,
    requestBy: row.request_by,
    verdict: undefined,
    leaseMs: row.lease_ms,
    cpuMs: row.cpu_ms,
    wallMs: row.wall_ms,
    dirty: false,
  };
  checkArray(number, array);
  return array;
}

function endedOf({ number, ended }: ArrayColumns): Map<Outcome, number> {
  try {
    return new Map(Object.entries(JSON.parse(ended) as Record<Outcome, number>) as [Outcome, number][]);
  } catch (error) {
    throw recordUnreadable(number, -1, "the counts of its ended elements", error);
  }
}

const arrayRow = (db: Database, number: number) =>
  db
    .sql(
      `SELECT a.number, a.first, a.last, a.step, a.max_live, a.cursor, a.early, a.live, a.waiting, a.ended, a.cpu_ms, a.wall_ms, t.state, t.request, t.request_by, t.lease_ms
       FROM arrays a JOIN tasks t ON t.number = a.number AND t.idx = -1 WHERE a.number = ?`,
    )
    .get(number) as unknown as ArrayColumns | undefined;
