import type { ListTasksRequest, ListTasksResponse } from "@berth/contracts/store";
import type { Wanted } from "../decisions/list-filter.ts";
import type { Foreseen, Records } from "./records.ts";
import type { TaskStore } from "./task-store.ts";

/** One write: a decision over records, in a transaction that no other write overlaps. */
export interface Write<T> {
  /** Names what the decision will read; an engine that reads over a network loads it in one question. */
  readonly foresee?: (look: Foreseen) => void;
  /** May run several times; only its last result counts. What it throws undoes all that it did, and nothing of other writes. */
  readonly decide: (records: Records) => T;
  /** For how many tasks it counts; one transaction holds only so many. 1 if missing. */
  readonly weight?: number;
  /** Readers of the feed are woken at once: hosts wait for this. */
  readonly isUrgent?: boolean;
}

/** One page of a list, without the feed's token. */
export type Page = Omit<ListTasksResponse, "watchToken">;

/** A list request that was checked. */
export interface PageRequest {
  readonly request: ListTasksRequest;
  /** The most tasks in a page. */
  readonly size: number;
  /** Whether a record passes the request's filter. */
  readonly wanted: Wanted;
}

/**
 * A database: commits decisions, answers questions, and does what differs in kind between databases (the feed, snapshots, scans, when hosts were heard).
 * What a write means is decided above it, in `decisions/`; `makeTaskStore` joins the two. Rejects with `unavailable` where the database does not answer.
 */
export interface Engine extends Pick<
  TaskStore,
  "epoch" | "fold" | "expired" | "syncHosts" | "listHosts" | "snapshot" | "changes" | "nextCommit"
> {
  /** Resolves with what was decided, once it is durable. */
  write<T>(write: Write<T>): Promise<T>;
  /** Writes items that are results of their own, in their order; how many share a transaction is the engine's matter. */
  writeEach<I, R>(
    items: readonly I[],
    foresee: (look: Foreseen, item: I) => void,
    decide: (records: Records, item: I) => R,
  ): Promise<R[]>;
  /** Answers a question; `decide` must change nothing. */
  ask<T>(foresee: (look: Foreseen) => void, decide: (records: Records) => T): Promise<T>;
  /** The same, with the hosts and the leases of services as they are committed now. */
  askNow<T>(foresee: (look: Foreseen) => void, decide: (records: Records) => T): Promise<T>;
  /** The next task's number; not durable until a task has it. */
  reserveNumber(): Promise<number>;
  /** Tells for how many milliseconds no store has heard of a host, at a moment of the database's clock. */
  silenceOf(hostId: string): Promise<(at: number) => number>;
  /** How many tasks of a user (empty: of all) are in each state; a state may come several times. */
  counts(user: string): Promise<readonly { readonly state: number; readonly n: number }[]>;
  /** Numbers of tasks that were archived and ended `afterMs` ago, at most `limit`, the oldest first and from where the last call stopped. */
  deletable(afterMs: number, limit: number): Promise<{ readonly numbers: readonly number[]; readonly more: boolean }>;
  /** The feed's token of now. */
  token(): Promise<string>;
  /** Tasks and whole arrays, newest first. */
  pageOfTasks(page: PageRequest): Promise<Page>;
  /** Elements of an array, by index. */
  pageOfElements(page: PageRequest): Promise<Page>;
}
