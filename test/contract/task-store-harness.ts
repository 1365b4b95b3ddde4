import { RunPhase } from "@berth/contracts/agent";
import type { ReportAnswer, RunStatus } from "@berth/contracts/agent";
import { Change } from "@berth/contracts/store";
import type {
  ChangesResponse,
  CommitPlanResponse,
  End,
  NewTask,
  RequestResult,
  SubmitResult,
  TaskRow,
} from "@berth/contracts/store";
import { TaskRequest } from "@berth/contracts/types";
import type { Host, Task } from "@berth/contracts/types";
import type { TaskStore } from "@berth/storage";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import type { HostWishes, TaskWishes } from "@berth/test-support";

export interface OpenOptions {
  /** The database's clock. */
  readonly now: () => number;
  /** One that cannot be set. */
  readonly steadyMs: () => number;
  /** How long and how many rows of the feed are kept. */
  readonly feed?: { readonly keepMs: number; readonly keepRows: number };
  /** How long ago an element must have ended to be folded. */
  readonly foldAfterMs?: number;
}

export interface OpenedStore {
  readonly store: TaskStore;
  /** Does all that is due now and then. */
  housekeeping(): Promise<void>;
  close(): Promise<void>;
}

/** A database of its own for each test. It can be opened again, and twice at once: the second store sees what is committed. */
export interface TestDatabase {
  open(options: OpenOptions): Promise<OpenedStore>;
  /**
   * Puts a value that no program can use into a record: a number too large, or bytes that cannot be decoded. `id` is the task's or the host's. A store that is open may have
   * the record in memory: it is to be opened again.
   */
  damage(record: DamagedRecord, id: string, column: string, value: bigint | Uint8Array): Promise<void>;
  remove(): Promise<void>;
}

/** The record itself, an array's state, or what never changes of it; an array's folded elements; a host. */
export type DamagedRecord = "task" | "array" | "spec" | "folded" | "host";

export type MakeDatabase = () => Promise<TestDatabase>;

const startMs = Date.UTC(2026, 10, 24, 12);

/** A store with the few verbs that the tests speak. */
export class Harness {
  readonly database: TestDatabase;
  term = 0;
  #opened: OpenedStore;
  readonly #clock: { nowMs: number; steadyMs: number };
  readonly #options: OpenOptions;

  private constructor(
    database: TestDatabase,
    opened: OpenedStore,
    clock: { nowMs: number; steadyMs: number },
    options: OpenOptions,
  ) {
    this.database = database;
    this.#opened = opened;
    this.#clock = clock;
    this.#options = options;
  }

  /** The database's clock; a test moves it. */
  get nowMs(): number {
    return this.#clock.nowMs;
  }

  set nowMs(nowMs: number) {
    this.#clock.steadyMs += nowMs - this.#clock.nowMs;
    this.#clock.nowMs = nowMs;
  }

  /** Somebody sets the database's clock; no time passes. */
  setClock(byMs: number): void {
    this.#clock.nowMs += byMs;
  }

  /** With a scheduler that leads and two hosts, h1 and h2. */
  static async open(make: MakeDatabase, options: Omit<OpenOptions, "now" | "steadyMs"> = {}): Promise<Harness> {
    const database = await make();
    const clock = { nowMs: startMs, steadyMs: 0 };
    const whole = { ...options, now: () => clock.nowMs, steadyMs: () => clock.steadyMs };
    const harness = new Harness(database, await database.open(whole), clock, whole);
    harness.term = (await harness.store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 })).term;
    await harness.seen("h1");
    await harness.seen("h2");
    return harness;
  }

  get store(): TaskStore {
    return this.#opened.store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.close();
    await this.database.remove();
  }

  async reopen(): Promise<void> {
    await this.#opened.close();
    this.#opened = await this.database.open(this.#options);
  }

  housekeeping(): Promise<void> {
    return this.#opened.housekeeping();
  }

  /** What a store that was opened just now knows of a task: only what is committed. */
  async committed(taskId: string): Promise<Task | undefined> {
    const witness = await this.database.open(this.#options);
    try {
      return await witness.store.get({ taskId, user: "" }).catch(() => undefined);
    } finally {
      await witness.close();
    }
  }

  submitAll(tasks: readonly NewTask[]): Promise<SubmitResult[]> {
    return this.store.submit(tasks.map((task) => ({ task, number: 0 })));
  }

  async submit(wishes: TaskWishes = {}): Promise<string> {
    const [result] = await this.submitAll([aNewTask(wishes)]);
    if (result!.failure) throw new Error(`${result!.failure.reason}: ${result!.failure.message}`);
    return result!.taskId;
  }

  seen(id: string, wishes: HostWishes = {}): Promise<unknown> {
    return this.store.syncHosts({ hosts: [aHost(id, wishes)], silentHostIds: [], silentAfterMs: 0 });
  }

  plan(
    placements: readonly (readonly [taskId: string, attempt: number, hostId?: string, journalId?: string])[],
    ends: readonly End[] = [],
    term = this.term,
  ): Promise<CommitPlanResponse> {
    return this.store.commitPlan({
      term,
      placements: placements.map(([taskId, attempt, hostId = "h1", journalId = `journal-${hostId}`]) => ({
        taskId,
        attempt,
        hostId,
        journalId,
      })),
      ends: [...ends],
    });
  }

  /** Places one run; answers why not, or "". */
  async place(taskId: string, attempt = 1, hostId = "h1", journalId = `journal-${hostId}`): Promise<string> {
    return (await this.plan([[taskId, attempt, hostId, journalId]])).placementRefusals[0]!;
  }

  async end(end: End): Promise<string> {
    return (await this.plan([], [end])).endRefusals[0]!;
  }

  async report(
    taskId: string,
    attempt: number,
    phase: RunPhase,
    more: Partial<RunStatus> = {},
    hostId = "h1",
  ): Promise<ReportAnswer> {
    const status = aStatus(this.store.epoch, taskId, attempt, phase, more);
    const { replies } = await this.store.applyReports({
      reports: [{ hostId, journalId: `journal-${hostId}`, statuses: [status] }],
    });
    return replies[0]!.answers[0]!;
  }

  ended(taskId: string, attempt = 1, more: Partial<RunStatus> = {}, hostId = "h1"): Promise<ReportAnswer> {
    return this.report(taskId, attempt, RunPhase.ENDED, more, hostId);
  }

  refused(taskId: string, attempt = 1, code = "OVER_CAPACITY", hostId = "h1"): Promise<ReportAnswer> {
    return this.report(taskId, attempt, RunPhase.REFUSED, { reason: { code, message: "not here" } }, hostId);
  }

  async ask(taskId: string, request: TaskRequest, user = "ada", admin = false): Promise<RequestResult> {
    return (await this.store.request({ taskIds: [taskId], request, user, admin })).results[0]!;
  }

  kill(taskId: string, user = "ada"): Promise<RequestResult> {
    return this.ask(taskId, TaskRequest.KILL, user);
  }

  get(taskId: string): Promise<Task> {
    return this.store.get({ taskId, user: "" });
  }

  async snapshot(): Promise<{
    readonly token: string;
    readonly tasks: TaskRow[];
    readonly hosts: Host[];
    readonly changes: Change[];
    readonly parts: number;
  }> {
    const changes: Change[] = [];
    let token = "";
    let parts = 0;
    for await (const part of this.store.snapshot(new AbortController().signal)) {
      parts += 1;
      if (part.token !== "") token = part.token;
      changes.push(...part.changes.flatMap(decoded));
    }
    return { token, parts, changes, ...split(changes) };
  }

  /** What the feed has after a token, up to where it says that nothing is left. */
  async changes(
    token: string,
    filter: { readonly user?: string; readonly tasksOnly?: boolean } = {},
  ): Promise<{
    readonly token: string;
    readonly tasks: TaskRow[];
    readonly hosts: Host[];
    readonly changes: Change[];
    readonly startAgain: boolean;
  }> {
    const stop = new AbortController();
    const changes: Change[] = [];
    let last: ChangesResponse | undefined;
    for await (const part of this.store.changes(
      { token, user: filter.user ?? "", tasksOnly: filter.tasksOnly ?? false },
      stop.signal,
    )) {
      last = part;
      changes.push(...part.changes.map((bytes) => Change.decode(bytes)));
      if (part.changes.length === 0 || part.startAgain) break;
    }
    stop.abort();
    return { token: last!.token, startAgain: last!.startAgain, changes, ...split(changes) };
  }

  async token(): Promise<string> {
    const stop = new AbortController();
    for await (const part of this.store.snapshot(stop.signal)) return part.token;
    throw new Error("a snapshot without a part");
  }
}

function split(changes: readonly Change[]): { tasks: TaskRow[]; hosts: Host[] } {
  return {
    tasks: changes.flatMap(({ row }) => (row?.$case === "task" ? [row.value] : [])),
    hosts: changes.flatMap(({ row }) => (row?.$case === "host" ? [row.value] : [])),
  };
}

/** As those who follow the feed do: a row that cannot be decoded is left out. */
function decoded(bytes: Uint8Array): Change[] {
  try {
    return [Change.decode(bytes)];
  } catch {
    return [];
  }
}
