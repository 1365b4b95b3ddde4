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

/** An agent's description of its host, which storage keeps and the watcher does not read. */
export interface HostUpdate {
  readonly host: Host;
  /** Runs on the host that storage does not know. */
  readonly unknownRuns: readonly Run[];
}

/** What the watcher needs of storage. Messages of agents are passed on unread. Fails with AppError only; concurrent calls of many hosts are combined. */
export interface RunStore {
  /** Snapshot and changes until aborted. */
  follow(reader: RowReader, signal: AbortSignal): Promise<void>;
  /** Commits one host's reports; resolves after the commit. */
  report(report: ReportRequest): Promise<ReportReply>;
  /** Commits that runs are lost, because their journal is gone. */
  reportLost(hostId: string, journalId: string, runs: readonly Run[]): Promise<void>;
  /**
   * Storage's knowledge of `ask`, in order; and the assignments of those of `missing` that are still placed there and those of `withoutSpec` that continue
   * there.
   */
  lookUp(
    hostId: string,
    ask: readonly Run[],
    missing: readonly Run[],
    withoutSpec: readonly Run[],
  ): Promise<{ readonly known: readonly Knowledge[]; readonly assign: AssignRequest | undefined }>;
  /**
   * Stores an agent's description of its host and answers the scheduler's term. Refuses an agent while another one with the same host name was heard lately.
   */
  seeHost(news: HostUpdate): Promise<{ readonly term: number; readonly refused: boolean }>;
  /**
   * Gives up runs on a host that this watcher has not heard for `listenedMs`, if their lease and margin have passed since any watcher heard the host. Storage
   * decides for each run. Answers how many will be retried and how many are over.
   */
  loseRuns(
    hostId: string,
    listenedMs: number,
    marginMs: number,
  ): Promise<{ readonly retried: number; readonly lost: number }>;
  /** Reports silent hosts. Storage knows whether another watcher has heard them. */
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

/** Tells agents to sync. */
export interface Waker {
  wake(hostId: string): void;
}
