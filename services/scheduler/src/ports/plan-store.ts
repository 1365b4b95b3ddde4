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

/** What storage says of a plan; refusals in the plan's order, empty where committed. */
export interface CommitAnswer {
  readonly placementRefusals: readonly string[];
  readonly endRefusals: readonly string[];
  /** Ready to send. */
  readonly assignments: readonly Assignments[];
}

/** New runs for one host. What is said to it is storage's word, and not ours to read. */
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
  /** Takes or renews the lease; its term grows with each new holder. */
  acquireLease(ttlMs: number, signal: AbortSignal): Promise<Lease>;
  releaseLease(): Promise<void>;
  /** Snapshot and changes until aborted. */
  follow(reader: RowReader, signal: AbortSignal): Promise<void>;
  /** Commits what still holds. `precondition` STALE_TERM: somebody else leads. `unavailable`: it may have been committed or not. */
  commit(term: number, plan: Plan, signal: AbortSignal): Promise<CommitAnswer>;
  /** What became of tasks that the feed no longer tells of; at most 1,000. */
  outcomes(taskIds: readonly string[], signal: AbortSignal): Promise<readonly ParentOutcome[]>;
}
