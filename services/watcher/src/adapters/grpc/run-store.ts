import { ReportAnswer } from "@berth/contracts/agent";
import type { ReportReply, ReportRequest } from "@berth/contracts/agent";
import type { TaskStoreServiceService } from "@berth/contracts/store";
import type { Host } from "@berth/contracts/types";
import { batcher, followFeed, readableRows, splitOnFailure } from "@berth/runtime";
import type { FollowOptions, GrpcClient } from "@berth/runtime";
import { AppError } from "@berth/core";
import type { Run } from "@berth/core";
import type { RunStore, TimerLease } from "../../ports/run-store.ts";
import { knowledgeFromWire, lostReport, rowFromWire } from "../codec.ts";

type Store = GrpcClient<typeof TaskStoreServiceService>;

/** Limit of statuses per call: it keeps a call at a few milliseconds in storage, and far below the message limit. */
const statusesAtOnce = 5_000;
const callDeadlineMs = 5_000;
const leaseName = "watcher-timers";

export interface RunStoreOptions extends Pick<FollowOptions, "logger" | "setAside" | "problems"> {
  readonly now: () => Date;
  readonly onReports: (hosts: number, statuses: number, seconds: number) => void;
}

/** Storage over gRPC. Reports of many hosts are combined in one call, and so are their syncs. */
export function grpcRunStore(store: Store, { logger, setAside, problems, now, onReports }: RunStoreOptions): RunStore {
  const report = batcher<ReportRequest, ReportReply>({
    maxItems: 1_000,
    maxQueued: 20_000,
    async run(reports) {
      const replies: ReportReply[] = [];
      for (const part of portions(reports)) {
        const startedAt = performance.now();
        const answers = await splitOnFailure(part, async (some) => {
          const { replies: those } = await store.applyReports({ reports: [...some] }, { deadlineMs: callDeadlineMs });
          return those;
        }).catch(eachAtFault(part));
        onReports(
          part.length,
          part.reduce((sum, { statuses }) => sum + statuses.length, 0),
          (performance.now() - startedAt) / 1000,
        );
        for (const [at, answer] of answers.entries())
          replies.push(answer instanceof AppError ? await oneByOne(part[at]!) : answer);
      }
      return replies;
    },
  });
  /** Retries a report that storage failed on, one status at a time. The agent sends the failing ones again later; the rest is stored. */
  async function oneByOne(report: ReportRequest): Promise<ReportReply> {
    const answers = await splitOnFailure(report.statuses, async (statuses) => {
      const { replies } = await store.applyReports(
        { reports: [{ ...report, statuses: [...statuses] }] },
        { deadlineMs: callDeadlineMs },
      );
      return replies[0]!.answers;
    }).catch(eachAtFault(report.statuses));
    return {
      answers: answers.map((answer, at) => {
        if (!(answer instanceof AppError)) return answer;
        setAside.add(report.statuses[at]!.run?.taskId ?? `a report of ${report.hostId}`, answer);
        return ReportAnswer.LATER;
      }),
    };
  }

  const seeHost = batcher<Host, { term: number; refused: boolean }>({
    maxItems: 1_000,
    maxQueued: 20_000,
    async run(hosts) {
      return splitOnFailure(hosts, async (some) => {
        const { term, refused } = await store.syncHosts(
          { hosts: [...some], silentHostIds: [], silentAfterMs: 0 },
          { deadlineMs: callDeadlineMs },
        );
        return some.map((_, at) => ({ term, refused: refused.includes(at) }));
      });
    },
  });

  return {
    follow: (reader, signal) =>
      followFeed({
        store,
        logger,
        setAside,
        problems,
        signal,
        reader: {
          onStart: (epoch) => reader.onStart(epoch),
          onChanges: (changes) => reader.onRows(readableRows(changes, rowFromWire, setAside)),
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

/** If storage answers but every item fails, each item fails alone and is sent again later. If storage is away, the call fails. */
const eachAtFault =
  (items: readonly unknown[]) =>
  (thrown: unknown): AppError[] => {
    const error = AppError.from(thrown);
    if (error.code === "unavailable") throw error;
    return items.map(() => error);
  };

/** Groups consecutive reports so that each group stays within the limit of statuses. */
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
