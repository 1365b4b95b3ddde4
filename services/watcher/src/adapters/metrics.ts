import { counter, gauge, histogram } from "@berth/runtime";
import type { Instruments } from "../ports/instruments.ts";

/** Metrics of the watcher; `now` is read at each scrape. */
export function watcherMetrics(now: {
  live(): number;
  lagMs(): number;
}): Instruments & { reports(hosts: number, statuses: number, seconds: number): void } {
  const commits = histogram("berth_watcher_commit_seconds", "Commits of reports, many hosts in one");
  const statuses = counter("berth_watcher_statuses_total", "Statuses of runs committed");
  const hosts = counter("berth_watcher_reports_total", "Reports of hosts committed");
  const syncs = counter("berth_watcher_syncs_total", "Syncs answered, by whether the view was ready", ["ready"]);
  const verdicts = counter("berth_watcher_verdicts_total", "Verdicts other than run", ["verdict"]);
  const wakes = counter("berth_watcher_wakes_total", "Hosts woken", ["why"]);
  const lost = counter("berth_watcher_lost_runs_total", "Runs given up, by what is gone", ["why"]);
  const duplicates = counter(
    "berth_watcher_duplicate_host_name_total",
    "Syncs refused because another agent of the same host name was heard lately",
  );
  gauge("berth_watcher_live_runs", "Placed, running and suspended tasks in view", now.live);
  gauge("berth_watcher_feed_silence_seconds", "Since the change feed was last heard of", () => now.lagMs() / 1000);
  return {
    reports(reporting, count, seconds) {
      commits.observe(seconds);
      hosts.inc(reporting);
      statuses.inc(count);
    },
    sync: (ready) => syncs.inc({ ready: String(ready) }),
    verdict: (verdict) => verdicts.inc({ verdict }),
    woke: (why, count) => wakes.inc({ why }, count),
    duplicateHostName: () => duplicates.inc(),
    lost: (runs, why) => lost.inc({ why }, runs),
  };
}
