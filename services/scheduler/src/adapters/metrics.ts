import { counter, gauge, histogram } from "@berth/runtime";
import type { Instruments } from "../ports/instruments.ts";

/** Metrics of the scheduler; `now` is asked at each scrape. */
export function schedulerMetrics(now: {
  pending(): number;
  term(): number;
}): Instruments & { undelivered(count: number): void } {
  const cycles = histogram("berth_scheduler_cycle_seconds", "Planning cycles that decided something");
  const placements = counter("berth_scheduler_placements_total", "Placements planned");
  const ends = counter("berth_scheduler_ends_total", "Ends planned of tasks that can never run");
  const refusals = counter("berth_scheduler_refusals_total", "Decisions that storage refused, by reason", ["reason"]);
  const stale = counter("berth_scheduler_stale_term_total", "Plans refused because another led");
  const undelivered = counter(
    "berth_scheduler_undelivered_total",
    "Assignments that no agent confirmed; the watcher offers them again",
  );
  gauge(
    "berth_scheduler_pending",
    "Pending tasks, arrays by their unclaimed elements; 0 while standing by",
    now.pending,
  );
  gauge("berth_scheduler_term", "Term of the lease that is held; 0 while standing by", now.term);
  return {
    cycle(seconds, placed, ended) {
      cycles.observe(seconds);
      placements.inc(placed);
      ends.inc(ended);
    },
    refused: (reason) => refusals.inc({ reason }),
    staleTerm: () => stale.inc(),
    undelivered: (count) => undelivered.inc(count),
  };
}
