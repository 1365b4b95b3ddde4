import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { ListTasksRequest } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import type { Database } from "@berth/database";
import { killCode, outcomeCode, overCode, stateCode } from "../../decisions/record/codes.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { indexesAChunk } from "../form/folded-chunk.ts";
import { bits, readPlace } from "../../decisions/list-filter.ts";
import type { Wanted } from "../../decisions/list-filter.ts";
import { readId } from "../../decisions/record/task-life.ts";
import { shortMessage, unrecordedRow } from "../../decisions/record/task-message.ts";
import { unfolded } from "../form/unfolded.ts";
import { readArray } from "./open-array.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import type { OpenArray } from "../../ports/records.ts";
import { chunkOf, lastOf } from "./fold.ts";
import { chunkRows } from "./folded-elements.ts";
import { shownTasks } from "./salvage.ts";
import { readSpec, readTask } from "./task-rows.ts";

/** How much one call looks at before it answers with what it found; a chunk that is looked at in vain counts for some records. */
const looksAtOnce = 8_000;
const looksAChunk = 100;

/**
 * Elements by index, from live records, folded chunks and what has neither: the unclaimed range, and what ended with it. Chunks in which nothing can be wanted
 * are leapt over, so a few that failed among a million are found at once.
 */
export function pageOfElements(db: Database, { request, size, wanted }: PageRequest): Page {
  const number = readId(request.arrayId)?.number ?? 0;
  const array = readArray(db, number);
  if (!array) return { tasks: [], nextPageToken: "" };
  const spec = readSpec(db, number)!;
  const elements = new Elements(db, array, spec, request, wanted);
  const { first, last, step } = array.range;
  const tasks: Task[] = [];
  let from = first + Math.max(0, Math.ceil((readPlace(request.pageToken, first) - first) / step)) * step;
  for (let looks = 0; from <= last && looks < looksAtOnce;) {
    from = elements.nextFrom(from);
    if (from > last) break;
    const upTo = Math.min(last, lastOf(array.range, chunkOf(array.range, from)));
    const { rows, looked } = elements.between(from, upTo);
    looks += looked;
    for (const row of rows) {
      tasks.push(shortMessage({ row, spec, array: undefined }));
      if (tasks.length === size) return { tasks, nextPageToken: row.idx + step > last ? "" : `${row.idx + step}` };
    }
    from = upTo + step;
  }
  return { tasks, nextPageToken: from > last ? "" : `${from}` };
}

/** An array's elements, filtered. */
class Elements {
  readonly #db: Database;
  readonly #array: OpenArray;
  readonly #whole: TaskColumns;
  readonly #wanted: (row: TaskColumns) => boolean;
  /** Bits of the states and outcomes that are asked for. */
  readonly #states: number;
  readonly #outcomes: number;
  /** Whether elements without a record are wanted: not begun, or ended with the array's range. */
  readonly #unclaimed: boolean;
  readonly #endedInRange: boolean;

  constructor(db: Database, array: OpenArray, spec: SpecColumns, request: ListTasksRequest, wanted: Wanted) {
    this.#db = db;
    this.#array = array;
    this.#whole = readTask(db, array.number, -1)!;
    this.#wanted = (row) => wanted(row, spec);
    this.#states = bits(request.states.map((state) => stateCode(stateFromWire(state) ?? "archived")));
    this.#outcomes = bits(request.outcomes.map((outcome) => outcomeCode(outcomeFromWire(outcome))));
    const { range, cursor } = array;
    const asUnclaimed = cursor <= range.last && unrecordedRow(array, this.#whole, cursor);
    this.#unclaimed = Boolean(asUnclaimed && this.#wanted(asUnclaimed));
    // Only an end of the whole range leaves elements before the cursor without a record.
    const rangeEnded =
      array.request === killCode || ![0, outcomeCode("succeeded"), outcomeCode("failed")].includes(this.#whole.outcome);
    const asEnded = rangeEnded && cursor > range.last && unrecordedRow(array, this.#whole, range.first);
    this.#endedInRange = Boolean(asEnded && this.#wanted(asEnded));
  }

  /** The first index from there at which there may be one. */
  nextFrom(from: number): number {
    const { number, range, cursor } = this.#array;
    if (this.#endedInRange) return from;
    const record = this.#db.sql("SELECT min(idx) AS idx FROM tasks WHERE number = ? AND idx >= ?").get(number, from);
    const chunk = this.#mayBeOver
      ? this.#db
          .sql(
            "SELECT chunk FROM folded WHERE number = ? AND chunk >= ? AND outcomes & CAST(? AS INTEGER) ORDER BY chunk LIMIT 1",
          )
          .get(number, chunkOf(range, from), this.#outcomes)
      : undefined;
    return Math.min(
      Number(record?.["idx"] ?? Infinity),
      chunk ? Math.max(from, range.first + Number(chunk["chunk"]) * indexesAChunk * range.step) : Infinity,
      this.#unclaimed ? Math.max(from, cursor) : Infinity,
    );
  }

  get #mayBeOver(): boolean {
    return (this.#states & bits([overCode, stateCode("archived")])) !== 0;
  }

  /** Those of one chunk's range, by index. */
  between(from: number, upTo: number): { readonly rows: TaskColumns[]; readonly looked: number } {
    const { number, range, cursor } = this.#array;
    const all = this.#endedInRange || (this.#unclaimed && upTo >= cursor);
    const records = this.#records(from, upTo, all);
    const chunk = chunkOf(range, from);
    const folded = this.#db.sql("SELECT body, outcomes FROM folded WHERE number = ? AND chunk = ?").get(number, chunk);
    const needed = folded && (all || (this.#mayBeOver && (Number(folded["outcomes"]) & this.#outcomes) !== 0));
    const chunkOfRows = needed ? chunkRows(this.#db, number, chunk, folded["body"] as Uint8Array) : undefined;
    const rows: TaskColumns[] = [];
    if (all) {
      const known = new Map(records.map((row) => [row.idx, row]));
      for (let idx = from; idx <= upTo; idx += range.step) {
        const inChunk = chunkOfRows?.get(idx);
        const row =
          known.get(idx) ?? (inChunk ? unfolded(inChunk, this.#whole) : unrecordedRow(this.#array, this.#whole, idx));
        if (row) rows.push(row);
      }
    } else {
      rows.push(...records);
      for (const row of chunkOfRows?.values() ?? [])
        if (row.idx >= from && row.idx <= upTo) rows.push(unfolded(row, this.#whole));
      rows.sort((a, b) => a.idx - b.idx);
    }
    const looked = looksAChunk + rows.length + (chunkOfRows?.size ?? 0);
    return { rows: rows.filter(this.#wanted), looked };
  }

  #records(from: number, upTo: number, all: boolean): TaskColumns[] {
    const range = "FROM tasks WHERE number = ? AND idx >= ? AND idx <= ?";
    const { number } = this.#array;
    if (all) return shownTasks(this.#db, `${range} ORDER BY idx`, number, from, upTo);
    const filter = "(1 << state) & CAST(? AS INTEGER) AND (1 << outcome) & CAST(? AS INTEGER)";
    return shownTasks(
      this.#db,
      `${range} AND ${filter} ORDER BY idx`,
      number,
      from,
      upTo,
      this.#states,
      this.#outcomes,
    );
  }
}
