import type {
  AcquireLeaseRequest,
  AcquireLeaseResponse,
  ApplyReportsRequest,
  ApplyReportsResponse,
  ChangesRequest,
  ChangesResponse,
  CommitPlanRequest,
  CommitPlanResponse,
  CountTasksRequest,
  CountTasksResponse,
  GetTaskRequest,
  ListHostsResponse,
  ListTasksRequest,
  ListTasksResponse,
  LoseRunsRequest,
  LoseRunsResponse,
  LookUpRunsRequest,
  LookUpRunsResponse,
  NewTask,
  ReleaseLeaseRequest,
  RequestTasksRequest,
  RequestTasksResponse,
  SnapshotResponse,
  SubmitResult,
  SyncHostsRequest,
  SyncHostsResponse,
  UpdateTaskRequest,
} from "@berth/contracts/store";
import type { Task } from "@berth/contracts/types";

/**
 * The authoritative store of tasks. Its messages are those of `berth.store.v1`, so each is encoded and decoded once
 * on its way, for every engine.
 *
 * Each write is one transaction, answered after it is durable; writes that come together may share a commit. Each may be
 * repeated: a repeat finds the first one's work. A write that fails with `unavailable` may have been done or not.
 */
export interface TaskStore {
  /** Identifies the database's life: new when it is created or restored. */
  readonly epoch: string;

  /** Reserves an id, so that files can be in place before the task exists. Not durable: an id that was not used may come again after a restart. */
  reserveId(): Promise<number>;
  /** Stores tasks, each on its own; results in their order. A task's `number` comes from reserveId, or is 0. Input files must have been put in place: they are not stored. */
  submit(tasks: readonly StoredTask[]): Promise<SubmitResult[]>;
  /** Commits the placements of a plan that are still valid. Rejects with `precondition` STALE_TERM, and then nothing is changed. */
  commitPlan(plan: CommitPlanRequest): Promise<CommitPlanResponse>;
  /** Commits reports of agents. */
  applyReports(request: ApplyReportsRequest): Promise<ApplyReportsResponse>;
  /** Stores requests of a user. */
  request(request: RequestTasksRequest): Promise<RequestTasksResponse>;
  /** Changes what may be changed of a task that is not over. Rejects with `not-found`, `denied`, `invalid` or `precondition`. */
  updateTask(request: UpdateTaskRequest): Promise<Task>;
  /** Gives up runs on a host that is lost: each task waits again or is over as lost, as it asks. Conditional on the attempt; what is over stays. */
  loseRuns(request: LoseRunsRequest): Promise<LoseRunsResponse>;
  /** Folds ended elements, at most about `limit`, into their arrays. Nothing that is read of them changes by it. */
  fold(limit: number): Promise<Step>;
  /** Tasks and whole arrays, at most `limit`, that ended `afterMs` ago by the database's clock and are not archived. */
  expired(afterMs: number, limit: number): Promise<string[]>;
  /** Marks ended tasks as archived; their files must be gone. Answers how many were not before. */
  archive(taskIds: readonly string[]): Promise<number>;
  /** Deletes records of archived tasks that ended `afterMs` ago, with their keys; usage by day stays. */
  deleteRecords(afterMs: number, limit: number): Promise<Step>;
  /** Stores reports of agents about their hosts; unchanged reports are not written. */
  syncHosts(request: SyncHostsRequest): Promise<SyncHostsResponse>;

  acquireLease(request: AcquireLeaseRequest): Promise<AcquireLeaseResponse>;
  releaseLease(request: ReleaseLeaseRequest): Promise<void>;

  /** A token taken before the first row, then all hosts, live tasks in key order and the outcomes of parents. */
  snapshot(signal: AbortSignal): AsyncIterable<SnapshotResponse>;
  /** What came after a token, in commit order, until aborted. Says `start_again` and ends where the token cannot be served. */
  changes(request: ChangesRequest, signal: AbortSignal): AsyncIterable<ChangesResponse>;

  /** Rejects with `not-found` TASK_NOT_FOUND, or `denied` NOT_YOURS. */
  get(request: GetTaskRequest): Promise<Task>;
  list(request: ListTasksRequest): Promise<ListTasksResponse>;
  lookUpRuns(request: LookUpRunsRequest): Promise<LookUpRunsResponse>;
  listHosts(): Promise<ListHostsResponse>;
  countTasks(request: CountTasksRequest): Promise<CountTasksResponse>;
  /** What following a task's output needs to know; undefined where there is no such task. */
  logState(taskId: string): Promise<LogState | undefined>;
  /** Resolves at the next commit, after `ms`, or when aborted. */
  nextCommit(signal: AbortSignal, ms: number): Promise<void>;
}

/** What one step of longer work did, and whether more is left. */
export interface Step {
  readonly done: number;
  readonly more: boolean;
}

/** One task to store. */
export interface StoredTask {
  readonly task: NewTask;
  /** Its id, where files were put in place for it; 0: any. */
  readonly number: number;
}

export interface LogState {
  /** Its last attempt; 0 before the first. */
  readonly attempt: number;
  readonly over: boolean;
  /** Its files are gone. */
  readonly archived: boolean;
  /** What the last attempt wrote, once it is known. */
  readonly sizes: { readonly stdout: number; readonly stderr: number } | undefined;
  /** Whose it is, for files made for it. */
  readonly uid: number;
  readonly gid: number;
}
