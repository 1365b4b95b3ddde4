import { arraySize } from "@berth/core";
import { overCode, stateCode } from "../records/codes.ts";
import { readId } from "../records/task-life.ts";
import { lookAtClock } from "../../domain/clock-doubt.ts";
import type { ClockSeen } from "../../domain/clock-doubt.ts";
import type { Batch } from "./batch.ts";
import type { MongoCalls } from "./calls.ts";
import { taskKey } from "./collections.ts";
import type { Needs } from "./needs.ts";

const archivedCode = stateCode("archived");

/** Whether the clock is believed for what removes things. All copies share when it was; each doubts from its own beginning. */
export class HouseClock {
  readonly #onDoubt: (believedAtMs: number, nowMs: number) => void;
  #doubt: Omit<ClockSeen, "believedAtMs"> = {};

  constructor(onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#onDoubt = onDoubt;
  }

  believes({ at, counters }: Batch): boolean {
    const before = this.#doubt;
    const { believed, believedAtMs, ...doubt } = lookAtClock({ ...before, believedAtMs: counters.believedAt }, at);
    this.#doubt = doubt;
    counters.believedAt = believedAtMs;
    if (!believed && before.doubtSinceMs === undefined) this.#onDoubt(believedAtMs!, at);
    return believed;
  }
}

/** Numbers of tasks and whole arrays of a phase that ended before, the oldest first. */
export async function endedBefore(calls: MongoCalls, phase: 0 | 1, before: number, limit: number): Promise<number[]> {
  const found = await calls.find(
    "tasks",
    { phase, over_at: { $lte: before } },
    { sort: { over_at: 1 }, limit, projection: { number: 1 } },
  );
  return found.map((doc) => Number(doc["number"]));
}

export function archiveNeeds(needs: Needs, taskId: string): void {
  const id = readId(taskId);
  if (id && id.idx < 0) needs.task(id.number, -1);
}

/** Marks an ended task as archived, an array with all that is in it. Answers whether it was not before. */
export function archiveOne(batch: Batch, taskId: string): boolean {
  const id = readId(taskId);
  const spec = id && id.idx < 0 ? batch.spec(id.number) : undefined;
  const row = spec && batch.task(spec.number, -1);
  if (!row || row.state !== overCode || row.unsettled) return false;
  const array = spec.is_array === 1 ? batch.array(spec.number) : undefined;
  batch.announce({ ...row, state: archivedCode, phase: 1 }, spec, array);
  batch.sums.moved(spec.user, overCode, archivedCode, array ? arraySize(array.range) : 1);
  return true;
}

export function deleteNeeds(needs: Needs, number: number): void {
  needs.task(number, -1);
  needs.waitedFor.add(number);
  needs.history.add(taskKey(number, -1));
}

/** Deletes an archived task's records and its key, unless a pending one waits for it. Of an array its own record goes first: from then on nothing of it is found. */
export function deleteOne(batch: Batch, number: number): boolean {
  const spec = batch.spec(number);
  const row = batch.task(number, -1);
  if (!spec || row?.phase !== 1 || batch.isWaitedFor(number)) return false;
  const key = spec.client_key;
  if (key !== undefined && batch.key(key)?.number === number) batch.changes.keys.set(key, undefined);
  if (row.array) batch.changes.remains.add(number);
  else for (const { _id } of batch.history(number, -1)) batch.changes.attempts.set(_id, undefined);
  const array = spec.is_array === 1 ? batch.array(number) : undefined;
  batch.changes.tasks.set(row._id, undefined);
  batch.changes.specs.set(number, undefined);
  batch.sums.moved(spec.user, archivedCode, 0, array ? arraySize(array.range) : 1);
  return true;
}
