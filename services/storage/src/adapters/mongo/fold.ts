import { foldable } from "../../decisions/fold.ts";
import { overCode } from "../../decisions/record/codes.ts";
import { shownRow, unlessUnreadable } from "../../decisions/record/damage.ts";
import { chunkOfRows } from "../form/folded-chunk.ts";
import type { Step } from "../../ports/task-store.ts";
import type { Document } from "mongodb";
import { openArray } from "./open-array.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls } from "./calls.ts";
import { chunkOf, lastOf } from "../../domain/chunk-range.ts";
import { rowsOf } from "./chunks.ts";
import { afterElements, chunkKey, indexOf, taskKey } from "./collections.ts";
import type { ArrayDoc, TaskDoc } from "./collections.ts";
import { toTask } from "./task-doc.ts";
import type { Call } from "./transactions.ts";

/** A step looks at most at this many records per record that it may fold, because records that are live or ended just now cannot be folded. */
const looksAFold = 4;

interface Array extends TaskDoc {
  readonly array: ArrayDoc;
}

/**
 * Folds ended elements into chunks of their array, one chunk per transaction. Only elements before the cursor: the cursor needs the record of an element that was
 * killed early. Candidates are searched outside of transactions, and checked again within. The position of the walk is only in memory.
 */
export class Folder {
  readonly #calls: MongoCalls;
  readonly #write: (call: Call, weight: number) => Promise<unknown>;
  #place = { number: 0, idx: -1 };

  constructor(calls: MongoCalls, write: (call: Call, weight: number) => Promise<unknown>) {
    this.#calls = calls;
    this.#write = write;
  }

  /** Folds about `limit` elements that ended `afterMs` ago. `more`: the walk over all arrays is not finished. */
  async step(limit: number, afterMs: number): Promise<Step> {
    let done = 0;
    for (let looks = 0; done < limit && looks < limit * looksAFold;) {
      const found = await this.#nextArray();
      if (!found) {
        this.#place = { number: 0, idx: -1 };
        return { done, more: false };
      }
      const number = Number(found["_id"]);
      if (number > this.#place.number) this.#place = { number, idx: -1 };
      const array = unlessUnreadable(() => sound(found));
      if (!array) {
        looks += 10;
        this.#place = { number: number + 1, idx: -1 };
        continue;
      }
      const keys = await this.#nextRecords(array);
      looks += Math.max(10, keys.length);
      if (keys.length === 0) {
        await this.#settle(array);
        this.#place = { number: array.number + 1, idx: -1 };
        continue;
      }
      const chunk = chunkOf(array.array, indexOf(keys[0]!));
      done += await this.#fold(array.number, keys, chunk, afterMs);
      this.#place = { number: array.number, idx: lastOf(array.array, chunk) };
    }
    return { done, more: true };
  }

  async #nextArray(): Promise<Document | undefined> {
    const filter = { unsettled: 1, _id: { $gte: taskKey(this.#place.number, -1) } };
    const [found] = await this.#calls.find("tasks", filter, { sort: { _id: 1 }, limit: 1 });
    return found;
  }

  /** Keys of the records that are to go into one chunk: the next one, from our place on, for which there are any. None beyond the cursor; at most a chunk's. */
  async #nextRecords({ number, array }: Array): Promise<string[]> {
    const from = taskKey(number, Math.max(array.first, this.#place.idx + 1));
    const options = { sort: { _id: 1 as const }, projection: { _id: 1 } };
    const upTo = { $lt: taskKey(number, array.cursor) };
    const [next] = await this.#calls.find("tasks", { _id: { $gte: from, ...upTo } }, { ...options, limit: 1 });
    if (!next) return [];
    const first = String(next["_id"]);
    const last = taskKey(number, lastOf(array, chunkOf(array, indexOf(first))));
    const found = await this.#calls.find("tasks", { _id: { $gte: first, $lte: last, ...upTo } }, options);
    return found.map((doc) => String(doc["_id"]));
  }

  async #fold(number: number, keys: readonly string[], chunk: number, afterMs: number): Promise<number> {
    const key = chunkKey(number, chunk);
    const call: Call = {
      foresee(toLoad) {
        toLoad.tasks.add(taskKey(number, -1));
        for (const record of keys) toLoad.tasks.add(record);
        toLoad.chunks.add(key);
      },
      decide: (records) => foldChunk(records, number, keys, key, records.at - afterMs),
    };
    return Number(await this.#write(call, keys.length));
  }

  /** Marks an array of which only its own record and chunks are left: later walks skip it, and it may be archived. */
  async #settle({ number, state }: Array): Promise<void> {
    if (state < overCode) return;
    const elements = { _id: { $gte: taskKey(number, 0), $lt: afterElements(number) } };
    if ((await this.#calls.find("tasks", elements, { limit: 1, projection: { _id: 1 } })).length > 0) return;
    await this.#write(
      {
        foresee: (toLoad) => toLoad.tasks.add(taskKey(number, -1)),
        decide(records) {
          const whole = records.task(number, -1);
          if (!whole?.unsettled) return;
          const { unsettled: _, ...rest } = whole;
          records.keep({ ...rest, phase: 0 });
        },
      },
      1,
    );
  }
}

/** Throws RECORD_UNREADABLE. */
function sound(doc: Document): Array {
  const whole = toTask(doc) as Array;
  openArray(whole, whole.array);
  return whole;
}

function foldChunk(
  records: MongoRecords,
  number: number,
  keys: readonly string[],
  key: string,
  endedBefore: number,
): number {
  const whole = unlessUnreadable(() => records.task(number, -1));
  if (!whole) return 0;
  const elements = keys.flatMap((key) => readable(records, number, key) ?? []);
  const due = foldable(elements, whole, endedBefore);
  if (due.length === 0) return 0;
  const before = records.chunk(key);
  const known = unlessUnreadable(() => (before ? [...rowsOf(before).values()] : []));
  if (!known) return 0; // a damaged chunk stays as it is, and what would go into it a record
  records.changes.chunks.set(key, { _id: key, ...chunkOfRows(known, due) });
  for (const { _id } of due) records.changes.tasks.set(_id, undefined);
  return due.length;
}

/** A record; if it is damaged, what can be read of it. */
function readable(records: MongoRecords, number: number, key: string): TaskDoc | undefined {
  const task = unlessUnreadable(() => records.record(key) ?? "gone");
  if (task === "gone") return undefined;
  if (task) return task;
  const found = records.salvaged(number, indexOf(key));
  return found && { ...shownRow(found), _id: key };
}
