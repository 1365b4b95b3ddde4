import { arraySize } from "@berth/core";
import { overCode, stateCode } from "../../decisions/record/codes.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { readId } from "../../decisions/record/task-life.ts";
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

/** Where a walk over ended tasks is, in the order of its index. */
export interface Place {
  readonly overAt: number;
  readonly key: string;
}

/** Keys of tasks and whole arrays of a phase that ended before, the oldest first, from a place on. */
export async function endedBefore(
  calls: MongoCalls,
  phase: 0 | 1,
  before: number,
  limit: number,
  after?: Place,
): Promise<readonly Place[]> {
  const range = { phase, over_at: { $lte: before } };
  const rest = after && {
    $or: [{ over_at: { $gt: after.overAt } }, { over_at: after.overAt, _id: { $gt: after.key } }],
  };
  const found = await calls.find("tasks", rest ? { $and: [range, rest] } : range, {
    sort: { over_at: 1, _id: 1 },
    limit,
    projection: { over_at: 1 },
  });
  return found.map((doc) => ({ overAt: Number(doc["over_at"]), key: String(doc["_id"]) }));
}

export function archiveNeeds(needs: Needs, taskId: string): void {
  const id = readId(taskId);
  if (id && id.idx < 0) needs.task(id.number, -1);
}

/** Marks an ended task as archived, an array with all that is in it. Answers whether it was not before. */
export function archiveOne(batch: Batch, taskId: string): boolean {
  const id = readId(taskId);
  if (!id || id.idx >= 0) return false;
  const sound = unlessUnreadable(() => look(batch, id.number)) ?? repaired(batch, id.number);
  if (!sound?.row || !sound.spec) return false;
  const { row, spec, array } = sound;
  if (row.state !== overCode || row.unsettled) return false;
  batch.announce({ ...row, state: archivedCode, phase: 1 }, spec, array);
  batch.sums.moved(spec.user, overCode, archivedCode, array ? arraySize(array.range) : 1);
  return true;
}

const look = (batch: Batch, number: number) => {
  const spec = batch.spec(number);
  return { spec, row: batch.task(number, -1), array: spec?.is_array === 1 ? batch.array(number) : undefined };
};

/** What is over, and damaged, is replaced by what can be read of it; what may live stays until a kill ends it. */
function repaired(batch: Batch, number: number) {
  const found = batch.salvaged(number, -1);
  if (!found || found.row.state !== overCode) return undefined;
  batch.replace(found.row, found.spec, found.array);
  return look(batch, number);
}

export function deleteNeeds(needs: Needs, number: number): void {
  needs.task(number, -1);
  needs.waitedFor.add(number);
  needs.history.add(taskKey(number, -1));
}

/** Deletes an archived task's records and its key, unless a pending one waits for it. Of an array its own record goes first: from then on nothing of it is found. */
export function deleteOne(batch: Batch, number: number): boolean {
  const spec = unlessUnreadable(() => batch.spec(number));
  const row = spec && unlessUnreadable(() => batch.task(number, -1));
  if (!spec || row?.phase !== 1 || batch.isWaitedFor(number)) return false;
  const key = spec.client_key;
  if (key !== undefined && batch.key(key)?.number === number) batch.changes.keys.set(key, undefined);
  if (row.array) batch.changes.remains.add(number);
  else for (const { _id } of batch.history(number, -1)) batch.changes.attempts.set(_id, undefined);
  const array = spec.is_array === 1 ? unlessUnreadable(() => batch.array(number)) : undefined;
  batch.changes.tasks.set(row._id, undefined);
  batch.changes.specs.set(number, undefined);
  batch.sums.moved(spec.user, archivedCode, 0, array ? arraySize(array.range) : 1);
  return true;
}
