import type { MongoCalls } from "./calls.ts";

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
