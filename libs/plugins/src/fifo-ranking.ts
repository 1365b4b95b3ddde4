import type { RankedTask, RankingPolicy } from "./ranking.ts";

const bySubmission = (a: RankedTask, b: RankedTask): number => a.number - b.number;

/** First come, first served, by order of submission (GO-Docker's FiFo took whatever order the database had). */
export const fifoRanking = (): RankingPolicy => ({
  getName: () => "fifo",
  setConfig: () => {},
  setLogger: () => {},
  schedule: (tasks) => tasks.toSorted(bySubmission),
  order: bySubmission,
});
