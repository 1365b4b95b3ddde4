import { fifoRanking } from "@berth/plugins";
import { planCycle, policyWith } from "../domain/cycle.ts";
import type { CycleLimits } from "../domain/cycle.ts";
import type { FeedRow } from "../domain/feed.ts";
import type { Plan } from "../domain/plan.ts";
import { Queue } from "../domain/queue.ts";
import type { Ranking } from "../domain/ranking.ts";

/** Ties are always decided the same way. */
export const fixedRandom = (): number => 0.5;
/** When hosts have been known for long. */
export const later = 60_000;

/** The queue of a scheduler that read these rows at time 0. */
export function queueOf(...rows: FeedRow[]): Queue {
  const queue = new Queue();
  for (const row of rows) queue.apply(row, 0);
  return queue;
}

/** A cycle at `later`; changes nothing in the queue. */
export const plan = (queue: Queue, limits: Partial<CycleLimits> = {}, ranking: Ranking = fifoRanking()): Plan =>
  planCycle(queue, policyWith(ranking, undefined, limits), later, fixedRandom);

export const placed = ({ placements }: Plan) => placements.map(({ taskId, host }) => `${taskId}@${host.id}`);
export const tasks = ({ placements }: Plan) => placements.map(({ taskId }) => taskId);
