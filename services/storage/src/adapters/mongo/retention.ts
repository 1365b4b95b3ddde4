import { lookAtClock } from "../../domain/clock-doubt.ts";
import type { ClockSeen } from "../../domain/clock-doubt.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls } from "./calls.ts";

/** Whether the clock is believed for what removes things. All copies share when it was; each doubts from its own beginning. */
export class RetentionClock {
  readonly #onDoubt: (believedAtMs: number, nowMs: number) => void;
  #doubt: Omit<ClockSeen, "believedAtMs"> = {};

  constructor(onDoubt: (believedAtMs: number, nowMs: number) => void) {
    this.#onDoubt = onDoubt;
  }

  believes({ at, counters }: MongoRecords): boolean {
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
