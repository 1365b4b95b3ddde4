import type { AssignRequest, ReportReply, ReportRequest } from "@berth/contracts/agent";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import type { Host } from "@berth/contracts/types";
import { batcher, followFeed } from "@berth/runtime";
import type { GrpcClient, Logger } from "@berth/runtime";
import type { Run } from "@berth/core";
import type { FeedRow } from "../../domain/run-view.ts";
import type { RunStore, TimerLease } from "../../ports/run-store.ts";
import { knowledgeFromWire, lostReport, rowFromWire } from "../codec.ts";

type Store = GrpcClient<typeof TaskStoreServiceService>;

/** Statuses in one call; keeps a call within a few milliseconds of storage's time, and far within the largest message. */
const statusesAtOnce = 5_000;
const callDeadlineMs = 5_000;
const leaseName = "watcher-timers";

export interface RunStoreOptions {
  readonly logger: Logger;
  readonly now: () => Date;
  readonly onReports: (hosts: number, statuses: number, seconds: number) => void;
}

/** Storage over gRPC; reports of many hosts go together, and so do their words of themselves. */
export function grpcRunStore(
  store: Store,
  { logger, now, onReports }: RunStoreOptions,
): RunStore<ReportRequest, ReportReply, Host, AssignRequest> {
  const report = batcher<ReportRequest, ReportReply>({
    maxItems: 1_000,
    maxQueued: 20_000,
    async run(reports) {
      const replies: ReportReply[] = [];
      for (const part of portions(reports)) {
        const startedAt = performance.now();
        const answer = await store.applyReports({ reports: part }, { deadlineMs: callDeadlineMs });
        onReports(
          part.length,
          part.reduce((sum, { statuses }) => sum + statuses.length, 0),
          (performance.now() - startedAt) / 1000,
        );
        replies.push(...answer.replies);
      }
      return replies;
    },
  });
  const seeHost = batcher<Host, { term: number; refused: boolean }>({
    maxItems: 1_000,
    maxQueued: 20_000,
    async run(hosts) {
      const { term, refused } = await store.syncHosts(
        { hosts: [...hosts], silentHostIds: [], silentAfterMs: 0 },
        { deadlineMs: callDeadlineMs },
      );
      return hosts.map((_, at) => ({ term, refused: refused.includes(at) }));
    },
  });

  return {
    follow: (reader, signal) =>
      followFeed({
        store,
        logger,
        signal,
        reader: {
          onStart: (epoch) => reader.onStart(epoch),
          onChanges: (changes) =>
            reader.onRows(changes.map(rowFromWire).filter((row): row is FeedRow => row !== undefined)),
          onCaughtUp: () => reader.onCaughtUp(),
        },
      }),
    report,
    async reportLost(hostId, journalId, runs) {
      await report(lostReport(hostId, journalId, runs, now()));
    },
    async lookUp(hostId, ask, missing, withoutSpec) {
      const copy = (runs: readonly Run[]) => runs.map((run) => ({ ...run }));
      const answer = await store.lookUpRuns(
        { hostId, runs: copy(ask), assign: copy(missing), specsOf: copy(withoutSpec) },
        { deadlineMs: callDeadlineMs },
      );
      return { known: answer.runs.map(knowledgeFromWire), assign: answer.assign };
    },
    seeHost: ({ host, unknownRuns }) => seeHost({ ...host, unknownRuns: unknownRuns.map((run) => ({ ...run })) }),
    async loseRuns(hostId, listenedMs, marginMs) {
      const { retried, lost } = await store.loseRuns(
        { hostId, by: "", listenedMs: Math.floor(listenedMs), marginMs },
        { deadlineMs: callDeadlineMs },
      );
      return { retried: retried.length, lost: lost.length };
    },
    async silent(hostIds, silentAfterMs) {
      await store.syncHosts({ hosts: [], silentHostIds: [...hostIds], silentAfterMs }, { deadlineMs: callDeadlineMs });
    },
  };
}

/** Consecutive reports with not too many statuses in all. */
export function portions(reports: readonly ReportRequest[]): ReportRequest[][] {
  const parts: ReportRequest[][] = [];
  let statuses = Infinity;
  for (const report of reports) {
    statuses += report.statuses.length;
    if (statuses > statusesAtOnce) {
      parts.push([]);
      statuses = report.statuses.length;
    }
    parts.at(-1)!.push(report);
  }
  return parts;
}

export const grpcTimerLease = (store: Store, holder: string): TimerLease => ({
  // Half its life: if a copy of storage does not answer, another is asked before the lease ends.
  acquire: (ttlMs, signal) => store.acquireLease({ name: leaseName, holder, ttlMs }, { signal, deadlineMs: ttlMs / 2 }),
  release: async () => void (await store.releaseLease({ name: leaseName, holder }, { deadlineMs: 1_000 })),
});
