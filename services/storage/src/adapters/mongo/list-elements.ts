import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { ListTasksRequest } from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";
import { killCode, outcomeCode, overCode, stateCode } from "../../decisions/record/codes.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { indexesAChunk } from "../form/folded-chunk.ts";
import { bits, readPlace } from "../../decisions/list-filter.ts";
import { readId } from "../../decisions/record/task-life.ts";
import { shortMessage, unrecordedRow } from "../../decisions/record/task-message.ts";
import { unfolded } from "../form/unfolded.ts";
import { openArray } from "./open-array.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import type { OpenArray } from "../../ports/records.ts";
import type { MongoCalls } from "./calls.ts";
import { chunkOf, lastOf, rowsOf } from "./chunks.ts";
import { afterChunks, afterElements, chunkKey, taskKey } from "./collections.ts";
import type { ChunkDoc, TaskDoc } from "./collections.ts";
import type { ListDeps } from "./list-tasks.ts";
import { shownElement } from "./task-doc.ts";
import { bytes } from "./spec-doc.ts";

/** How much one call looks at before it answers with what it found; a chunk that is looked at in vain counts for some records. */
const looksAtOnce = 4_000;
const looksAChunk = 100;

/**
 * Elements by index, from live records, folded chunks and what has neither: the unclaimed range, and what ended with it. Chunks in which nothing can be wanted
 * are leapt over, so a few that failed among a million are found at once.
 */
export async function pageOfElements(
  { calls, inspect }: ListDeps,
  { request, size, wanted }: PageRequest,
): Promise<Page> {
  const number = readId(request.arrayId)?.number ?? 0;
  const { whole, spec } = await inspect(
    (toLoad) => toLoad.task(number, -1),
    (records) => ({ whole: records.task(number, -1), spec: records.spec(number) }),
  );
  if (!whole?.array || !spec) return { tasks: [], nextPageToken: "" };
  const array = openArray(whole, whole.array);
  const elements = new Elements(calls, array, whole, spec, request, (row) => wanted(row, spec));
  const { first, last, step } = array.range;
  const tasks: Task[] = [];
  let from = first + Math.max(0, Math.ceil((readPlace(request.pageToken, first) - first) / step)) * step;
  for (let looks = 0; from <= last && looks < looksAtOnce;) {
    from = await elements.nextFrom(from);
    if (from > last) break;
    const upTo = Math.min(last, lastOf(array.range, chunkOf(array.range, from)));
    const { rows, looked } = await elements.between(from, upTo);
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
  readonly #calls: MongoCalls;
  readonly #array: OpenArray;
  readonly #whole: TaskDoc;
  readonly #spec: SpecColumns;
  readonly #wanted: (row: TaskColumns) => boolean;
  /** Outcomes that are asked for, as the bits of a chunk. */
  readonly #outcomes: number;
  readonly #mayBeOver: boolean;
  /** Whether elements without a record are wanted: not begun, or ended with the array's range. */
  readonly #unclaimed: boolean;
  readonly #endedInRange: boolean;

  constructor(
    calls: MongoCalls,
    array: OpenArray,
    whole: TaskDoc,
    spec: SpecColumns,
    request: ListTasksRequest,
    wanted: (row: TaskColumns) => boolean,
  ) {
    this.#calls = calls;
    this.#array = array;
    this.#whole = whole;
    this.#spec = spec;
    this.#wanted = wanted;
    const states = bits(request.states.map((state) => stateCode(stateFromWire(state) ?? "archived")));
    this.#mayBeOver = (states & bits([overCode, stateCode("archived")])) !== 0;
    this.#outcomes = bits(request.outcomes.map((outcome) => outcomeCode(outcomeFromWire(outcome))));
    const { range, cursor } = array;
    const asUnclaimed = cursor <= range.last && unrecordedRow(array, whole, cursor);
    this.#unclaimed = Boolean(asUnclaimed && wanted(asUnclaimed));
    // Only an end of the whole range leaves elements before the cursor without a record.
    const rangeEnded =
      array.request === killCode || ![0, outcomeCode("succeeded"), outcomeCode("failed")].includes(whole.outcome);
    const asEnded = rangeEnded && cursor > range.last && unrecordedRow(array, whole, range.first);
    this.#endedInRange = Boolean(asEnded && wanted(asEnded));
  }

  /** The first index from there at which there may be one. */
  async nextFrom(from: number): Promise<number> {
    const { number, range, cursor } = this.#array;
    if (this.#endedInRange) return from;
    const options = { sort: { _id: 1 as const }, limit: 1 };
    const records = { _id: { $gte: taskKey(number, from), $lt: afterElements(number) } };
    const [record] = await this.#calls.find("tasks", records, { ...options, projection: { idx: 1 } });
    const chunk = this.#mayBeOver ? await this.#nextChunk(chunkOf(range, from)) : undefined;
    return Math.min(
      Number(record?.["idx"] ?? Infinity),
      chunk === undefined ? Infinity : Math.max(from, range.first + chunk * indexesAChunk * range.step),
      this.#unclaimed ? Math.max(from, cursor) : Infinity,
    );
  }

  /** The next chunk with an outcome that is asked for. Bodies stay where they are: a bit test in the server would be one more thing that a server may lack. */
  async #nextChunk(from: number): Promise<number | undefined> {
    const { number } = this.#array;
    const filter = { _id: { $gte: chunkKey(number, from), $lt: afterChunks(number) } };
    const options = { sort: { _id: 1 as const }, projection: { outcomes: 1 } };
    const found = await this.#calls.find("folded", filter, options);
    const next = found.find((doc) => (Number(doc["outcomes"]) & this.#outcomes) !== 0);
    return next && Number(String(next["_id"]).split("/")[1]);
  }

  /** Those of one chunk's range, by index. */
  async between(from: number, upTo: number): Promise<{ readonly rows: TaskColumns[]; readonly looked: number }> {
    const { number, range, cursor } = this.#array;
    const all = this.#endedInRange || (this.#unclaimed && upTo >= cursor);
    const key = chunkKey(number, chunkOf(range, from));
    const inRange = { _id: { $gte: taskKey(number, from), $lte: taskKey(number, upTo) } };
    // Records first: what is folded between the two reads is found in both, and taken once.
    const records = (await this.#calls.find("tasks", inRange)).map((doc) => shownElement(doc, number, this.#spec));
    const needed = all || this.#mayBeOver;
    const [found] = needed ? await this.#calls.find("folded", { _id: key }) : [];
    const chunk = found && { ...(found as unknown as ChunkDoc), body: bytes(found["body"]) };
    const folded = chunk && (all || (chunk.outcomes & this.#outcomes) !== 0) ? rowsOf(chunk) : undefined;
    const known = new Map<number, TaskColumns>();
    for (const row of folded?.values() ?? [])
      if (row.idx >= from && row.idx <= upTo) known.set(row.idx, unfolded(row, this.#whole));
    for (const row of records) known.set(row.idx, row);
    if (all) {
      for (let idx = from; idx <= upTo; idx += range.step) {
        const row = known.has(idx) ? undefined : unrecordedRow(this.#array, this.#whole, idx);
        if (row) known.set(idx, row);
      }
    }
    const rows = [...known.values()].sort((a, b) => a.idx - b.idx);
    return { rows: rows.filter(this.#wanted), looked: looksAChunk + records.length + (folded?.size ?? 0) };
  }
}
