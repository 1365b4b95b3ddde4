import type { Resources } from "@berth/core";

/** The first task of a shape, as a ranking policy sees it. */
export interface RankedTask {
  readonly taskId: string;
  readonly number: number;
  readonly user: string;
  readonly project: string;
  readonly priority: number;
  readonly needs: Resources;
  readonly submittedAtMs: number;
}

/** What the planner asks of a ranking policy; the plugin contract has the same two. */
export interface Ranking {
  schedule(heads: readonly RankedTask[], nowMs: number): readonly RankedTask[];
  readonly order: ((a: RankedTask, b: RankedTask) => number) | undefined;
}
