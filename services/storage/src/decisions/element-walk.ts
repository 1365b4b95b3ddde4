import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { Task } from "@berth/contracts/types";
import { chunkOf, firstOf, lastOf } from "../domain/chunk-range.ts";
import type { Page, PageRequest } from "../ports/engine.ts";
import type { OpenArray } from "../ports/records.ts";
import { bits, readPlace } from "./list-filter.ts";
import { killCode, outcomeCode, overCode, stateCode } from "./record/codes.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";
import { shortMessage, unrecordedRow } from "./record/task-message.ts";

/** A chunk counts as this many records, even if it holds none that match. */
const looksAChunk = 100;

/** An array, of which a page of elements is listed. */
export interface ListedArray {
  readonly array: OpenArray;
  readonly whole: TaskColumns;
  readonly spec: SpecColumns;
}

/**
 * Gathers a page of an array's elements by index, one chunk's range after the other. Elements come from live records, from folded chunks, or have neither: the
 * unclaimed range, and elements that ended with it. Chunks in which no element can match are skipped, so a few failed elements among a million are found at once.
 * As long as the walk `goesOn`, the engine reads what it asks for.
 */
export class ElementWalk {
  readonly #listed: ListedArray;
  readonly #size: number;
  readonly #wanted: (row: TaskColumns) => boolean;
  readonly #looksAtOnce: number;
  /** Whether elements without a record are wanted: not begun, or ended with the array's range. */
  readonly #unclaimed: boolean;
  readonly #endedInRange: boolean;
  readonly #tasks: Task[] = [];
  #from: number;
  #looks = 0;

  /** Bits of the states and outcomes that are asked for. */
  readonly states: number;
  readonly outcomes: number;

  /** `looksAtOnce`: how much one call looks at before it answers with what it found. */
  constructor(listed: ListedArray, { request, size, wanted }: PageRequest, looksAtOnce: number) {
    const { array, whole, spec } = listed;
    const { range, cursor } = array;
    this.#listed = listed;
    this.#size = size;
    this.#wanted = (row) => wanted(row, spec);
    this.#looksAtOnce = looksAtOnce;
    this.states = bits(request.states.map((state) => stateCode(stateFromWire(state) ?? "archived")));
    this.outcomes = bits(request.outcomes.map((outcome) => outcomeCode(outcomeFromWire(outcome))));
    const asUnclaimed = cursor <= range.last && unrecordedRow(array, whole, cursor);
    this.#unclaimed = Boolean(asUnclaimed && this.#wanted(asUnclaimed));
    // Only an end of the whole range leaves elements before the cursor without a record.
    const rangeEnded =
      array.request === killCode || ![0, outcomeCode("succeeded"), outcomeCode("failed")].includes(whole.outcome);
    const asEnded = rangeEnded && cursor > range.last && unrecordedRow(array, whole, range.first);
    this.#endedInRange = Boolean(asEnded && this.#wanted(asEnded));
    const place = readPlace(request.pageToken, range.first);
    this.#from = range.first + Math.max(0, Math.ceil((place - range.first) / range.step)) * range.step;
  }

  get goesOn(): boolean {
    return (
      this.#from <= this.#listed.array.range.last && this.#looks < this.#looksAtOnce && this.#tasks.length < this.#size
    );
  }

  /** The indexes to be looked at next: the rest of a chunk's range. */
  get from(): number {
    return this.#from;
  }

  get upTo(): number {
    const { range } = this.#listed.array;
    return Math.min(range.last, lastOf(range, this.chunk));
  }

  get chunk(): number {
    return chunkOf(this.#listed.array.range, this.#from);
  }

  /** Whether indexes can be skipped, because no element there can match. */
  get canSkip(): boolean {
    return !this.#endedInRange;
  }

  /** Whether elements that are over may match; only these are in chunks. */
  get mayBeOver(): boolean {
    return (this.states & bits([overCode, stateCode("archived")])) !== 0;
  }

  /** Whether all elements of these indexes are needed, because elements without a record may match. */
  get needsAll(): boolean {
    return this.#endedInRange || (this.#unclaimed && this.upTo >= this.#listed.array.cursor);
  }

  /** Whether an element in a chunk with these outcomes may match. */
  needsChunk(outcomes: number): boolean {
    return this.needsAll || (this.mayBeOver && (outcomes & this.outcomes) !== 0);
  }

  /** Continues at the first index at which an element can match. `record`: the next index that has a record; `chunk`: the next chunk with an outcome that is asked for. */
  skipTo(record: number | undefined, chunk: number | undefined): void {
    const { range, cursor } = this.#listed.array;
    this.#from = Math.min(
      record ?? Infinity,
      chunk === undefined ? Infinity : Math.max(this.#from, firstOf(range, chunk)),
      this.#unclaimed ? Math.max(this.#from, cursor) : Infinity,
    );
  }

  /** Takes in what was found between `from` and `upTo`. An element may be found as a record and in a chunk; then the record counts. */
  take(records: readonly TaskColumns[], folded: readonly TaskColumns[]): void {
    const { array, whole, spec } = this.#listed;
    const { upTo } = this;
    const { step } = array.range;
    const known = new Map([...folded, ...records].map((row) => [row.idx, row]));
    if (this.needsAll) {
      for (let index = this.#from; index <= upTo; index += step) {
        const row = known.has(index) ? undefined : unrecordedRow(array, whole, index);
        if (row) known.set(index, row);
      }
    }
    this.#looks += looksAChunk + known.size + folded.length;
    this.#from = upTo + step;
    for (const row of [...known.values()].sort((a, b) => a.idx - b.idx)) {
      if (!this.#wanted(row)) continue;
      this.#tasks.push(shortMessage({ row, spec, array: undefined }));
      if (this.#tasks.length < this.#size) continue;
      this.#from = row.idx + step;
      return;
    }
  }

  page(): Page {
    const isEnd = this.#from > this.#listed.array.range.last;
    return { tasks: this.#tasks, nextPageToken: isEnd ? "" : `${this.#from}` };
  }
}
