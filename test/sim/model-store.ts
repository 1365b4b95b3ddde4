import { arraySize } from "@berth/core";
import type { FeedRow, HostFacts, Plan, TaskFacts } from "@berth/scheduler";

type Task = { -readonly [K in keyof TaskFacts]: TaskFacts[K] };

/** What a placement did, for the properties. */
export interface Committed {
  readonly taskId: string;
  readonly attempt: number;
  readonly hostId: string;
}

/**
 * A model of storage: it commits the decisions of a plan that are still valid, and reports everything in a feed that the planner reads as late as the test
 * wants. It shares no code with the planner.
 */
export class ModelStore {
  readonly tasks = new Map<string, Task>();
  readonly hosts = new Map<string, HostFacts>();
  readonly feed: FeedRow[] = [];
  readonly committed: Committed[] = [];
  readonly refusals = new Map<string, number>();
  /** Runs that were started, each once. */
  readonly runs = new Set<string>();
  /** How long tasks run, as the feed says; undefined: it does not. */
  ranMs: number | undefined = undefined;
  #revision = 0;
  #nextNumber = 1;

  submit(
    wishes: Pick<Task, "user" | "needs" | "priority" | "dependencies"> & {
      readonly elements?: number;
      readonly maxLive?: number;
    },
  ): string {
    const id = `${this.#nextNumber++}`;
    const array =
      wishes.elements === undefined
        ? undefined
        : { last: wishes.elements, step: 1, maxLive: wishes.maxLive ?? 0, cursor: 1 };
    const { user, needs, priority, dependencies } = wishes;
    this.#write({
      id,
      revision: 0,
      user,
      project: "p",
      state: "pending",
      attempt: 0,
      hostId: "",
      reason: "",
      outcome: undefined,
      needs,
      priority,
      dependencies,
      createdAtMs: 0,
      array,
      avoidHosts: [],
    });
    return id;
  }

  setHost(host: Omit<HostFacts, "revision">): void {
    const facts = { ...host, revision: ++this.#revision };
    this.hosts.set(host.id, facts);
    this.feed.push({ kind: "host", host: facts });
  }

  live(): Task[] {
    return [...this.tasks.values()].filter(
      (task) => !task.array && (task.state === "placed" || task.state === "running"),
    );
  }

  liveOf(arrayId: string): number {
    return this.live().filter((task) => task.id.startsWith(`${arrayId}.`)).length;
  }

  /** The host takes a placed task up. */
  start(task: Task): void {
    this.#write({ ...task, state: "running" });
  }

  /** The host refuses a placed task. */
  refuse(task: Task): void {
    this.#write({
      ...task,
      state: "pending",
      reason: ["OVER_CAPACITY", "ENGINE_ERROR", "TASK_DIR_UNSAFE"][task.attempt % 3]!,
    });
  }

  end(task: Task, outcome: NonNullable<Task["outcome"]>): void {
    this.#write({ ...task, state: "over", outcome, ranMs: task.attempt > 0 ? this.ranMs : undefined });
    this.#afterEnd(task.id);
  }

  /** A user kills a pending task, an unclaimed element of an array, or an array. */
  kill(id: string): void {
    const task = this.tasks.get(id);
    const array = this.#arrayOf(id);
    if (task?.array) {
      this.#write({ ...task, array: { ...task.array, cursor: task.array.last + 1 } });
      for (const element of this.#elements(id))
        if (element.state === "pending") this.#write({ ...element, state: "over", outcome: "killed" });
      this.#afterEnd(`${id}.0`);
    } else if (task?.state === "pending") this.end(task, "killed");
    else if (!task && array?.array && array.state !== "over" && Number(id.split(".")[1]) <= array.array.last) {
      this.#write({ ...array, id, array: undefined, state: "over", outcome: "killed" });
      this.#stepOver(array);
      this.#afterEnd(id);
    }
  }

  /** Commits what still holds. */
  commit(plan: Plan): { placementRefusals: string[]; endRefusals: string[] } {
    const placementRefusals = plan.placements.map(({ taskId, attempt, host, journalId }) =>
      this.#place(taskId, attempt, host.id, journalId),
    );
    const endRefusals = plan.ends.map(({ record, outcome }) => {
      const task = this.tasks.get(record.id);
      if (task?.state !== "pending") return "NOT_PENDING";
      this.end(task, outcome);
      return "";
    });
    for (const why of [...placementRefusals, ...endRefusals])
      if (why) this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
    return { placementRefusals, endRefusals };
  }

  #place(id: string, attempt: number, hostId: string, journalId: string): string {
    if (this.hosts.get(hostId)?.journalId !== journalId) return "HOST_CHANGED";
    const array = this.#arrayOf(id);
    if (array?.state === "over") return "NOT_PENDING";
    if (array?.array && array.array.maxLive > 0 && this.liveOf(array.id) >= array.array.maxLive) return "ARRAY_LIMIT";
    const task =
      this.tasks.get(id) ??
      (array?.array && attempt === 1 && id === `${array.id}.${array.array.cursor}`
        ? { ...array, id, array: undefined, state: "pending" as const, attempt: 0 }
        : undefined);
    if (!task) return "STALE_ATTEMPT";
    if (task.state !== "pending") return "NOT_PENDING";
    if (attempt !== task.attempt + 1) return "STALE_ATTEMPT";
    if (this.runs.has(`${id}#${attempt}`)) throw new Error(`${id}#${attempt} would be started twice`);
    this.runs.add(`${id}#${attempt}`);
    const claimed = !this.tasks.has(id);
    this.#write({ ...task, state: "placed", attempt, hostId });
    if (claimed) this.#stepOver({ ...array!, state: "running" });
    this.committed.push({ taskId: id, attempt, hostId });
    return "";
  }

  /** The cursor steps over elements that have a record. */
  #stepOver(array: Task): void {
    let { cursor } = array.array!;
    while (this.tasks.has(`${array.id}.${cursor}`)) cursor++;
    this.#write({ ...array, array: { ...array.array!, cursor } });
  }

  #afterEnd(id: string): void {
    const array = this.#arrayOf(id);
    if (!array?.array || array.state === "over") return;
    const elements = this.#elements(array.id);
    const done = array.array.cursor > array.array.last && elements.every(({ state }) => state === "over");
    if (!done) return;
    const whole = arraySize({ first: 1, last: array.array.last, step: 1 });
    const succeeded = elements.filter(({ outcome }) => outcome === "succeeded").length;
    this.#write({ ...array, state: "over", outcome: succeeded === whole ? "succeeded" : "failed" });
  }

  #arrayOf(id: string): Task | undefined {
    const [number, index] = id.split(".");
    return index === undefined ? undefined : this.tasks.get(number!);
  }

  #elements(arrayId: string): Task[] {
    return [...this.tasks.values()].filter(({ id }) => id.startsWith(`${arrayId}.`));
  }

  #write(task: Task): void {
    const row = { ...task, revision: ++this.#revision };
    this.tasks.set(task.id, row);
    this.feed.push({ kind: "task", task: row });
  }
}
