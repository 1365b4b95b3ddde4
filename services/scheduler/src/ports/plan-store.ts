import type { AssignRequest } from "@berth/contracts/agent";
import type { FeedRow } from "../domain/feed.ts";
import type { ParentOutcome } from "../domain/queue.ts";
import type { Plan } from "../domain/plan.ts";

/** Who leads. */
export interface Lease {
  readonly held: boolean;
  readonly term: number;
  readonly holder: string;
}

/** Storage's answer to a plan; refusals in the plan's order, empty for committed items. */
export interface CommitAnswer {
  readonly placementRefusals: readonly string[];
  readonly endRefusals: readonly string[];
  /** Ready to send. */
  readonly assignments: readonly Assignments[];
}

/** New runs for one host. The message comes from storage and is passed on unread. */
export interface Assignments {
  readonly hostId: string;
  readonly message: AssignRequest;
}

/** Who reads the change feed; see `followFeed`. */
export interface RowReader {
  onStart(): void;
  onRows(rows: readonly FeedRow[]): void;
  onCaughtUp(): void;
}

/** What the scheduler needs of storage. Fails with AppError only. */
export interface PlanStore {
  /** Acquires or renews the lease. Each new holder gets a higher term. */
  acquireLease(ttlMs: number, signal: AbortSignal): Promise<Lease>;
  releaseLease(): Promise<void>;
  /** Snapshot and changes until aborted. */
  follow(reader: RowReader, signal: AbortSignal): Promise<void>;
  /** Commits the decisions that are still valid. `precondition` STALE_TERM: another scheduler leads. `unavailable`: it may have been committed or not. */
  commit(term: number, plan: Plan, signal: AbortSignal): Promise<CommitAnswer>;
  /** Outcomes of tasks that the feed no longer has; at most 1,000. */
  outcomes(taskIds: readonly string[], signal: AbortSignal): Promise<readonly ParentOutcome[]>;
}
