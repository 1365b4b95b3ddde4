import type { AssignRequest, ReportReply, ReportRequest } from "@berth/contracts/agent";
import type { Host } from "@berth/contracts/types";
import type { Run } from "@berth/core";
import type { FeedRow } from "../domain/run-view.ts";
import type { Knowledge } from "../domain/verdicts.ts";

/** Who reads the change feed. */
export interface RowReader {
  onStart(epoch: string): void;
  onRows(rows: readonly FeedRow[]): void;
  onCaughtUp(): void;
}

/** What an agent says of its host, and storage keeps; not ours to read. */
export interface HostUpdate {
  readonly host: Host;
  /** Found there, and unknown to storage. */
  readonly unknownRuns: readonly Run[];
}

/**
 * What the watcher needs of storage. It carries messages of agents, and reads nothing in them. Fails with AppError only; calls of many hosts that come together
 * are one call.
 */
export interface RunStore {
  /** Snapshot and changes until aborted. */
  follow(reader: RowReader, signal: AbortSignal): Promise<void>;
  /** Commits one host's reports; resolves after the commit. */
  report(report: ReportRequest): Promise<ReportReply>;
  /** Commits the end of runs that nobody has any more. */
  reportLost(hostId: string, journalId: string, runs: readonly Run[]): Promise<void>;
  /** What storage knows of `ask`, in order, and the assignments of those of `missing` that still are to run there, and of those of `withoutSpec` that go on there. */
  lookUp(
    hostId: string,
    ask: readonly Run[],
    missing: readonly Run[],
    withoutSpec: readonly Run[],
  ): Promise<{ readonly known: readonly Knowledge[]; readonly assign: AssignRequest | undefined }>;
  /** Stores what an agent says of its host, unless another agent of that host name was heard lately: then this one is refused. With the scheduler's present term. */
  seeHost(news: HostUpdate): Promise<{ readonly term: number; readonly refused: boolean }>;
  /**
   * Gives up runs on a host that was not heard here for `listenedMs`: those whose lease, and the margin after it, have passed since anybody heard of the host.
   * Storage decides each. Answers how many wait for another host, and how many are over.
   */
  loseRuns(
    hostId: string,
    listenedMs: number,
    marginMs: number,
  ): Promise<{ readonly retried: number; readonly lost: number }>;
  /** These hosts were not heard of here; storage knows whether anybody else heard of them. */
  silent(hostIds: readonly string[], afterMs: number): Promise<void>;
}

/** A lease that one of several watchers holds. */
export interface TimerLease {
  acquire(
    ttlMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly held: boolean; readonly term: number; readonly holder: string }>;
  release(): Promise<void>;
}

/** Tells agents that something concerns them: they sync. */
export interface Waker {
  wake(hostId: string): void;
}
