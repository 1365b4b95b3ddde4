import type { NewTask } from "@berth/contracts/store";
import { Dependency_Kind, OnHostLost, RunSpec, TaskRequest } from "@berth/contracts/types";
import { AppError, GiB } from "@berth/core";
import { isRetryable, sleep } from "@berth/runtime";
import type { Random } from "./random.ts";
import { ages } from "./services.ts";
import type { StoreClient } from "./store-client.ts";

/** One task or array that a user wants. */
export interface Wish {
  readonly key: string;
  readonly user: string;
  readonly command: readonly string[];
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly timeLimitMs: number;
  readonly priority: number;
  /** Elements; 0: no array. */
  readonly elements: number;
  readonly maxLive: number;
  readonly onHostLost: OnHostLost;
  readonly hostLeaseMs: number;
  /** Position of the wish that must have ended first, and how. */
  readonly after: { readonly wish: number; readonly ok: boolean } | undefined;
}

const commands = (random: Random, leastMs: number, mostMs: number): string[] => {
  const time = `${Math.round(random.spread(leastMs, mostMs))}ms`;
  const end = random.pick([
    ...Array.from({ length: 10 }, () => []),
    ["exit", "3"],
    ["signal", "11"],
    ["oom"],
    ["lost", "VANISHED"],
    ["failed", "NO_SUCH_IMAGE"],
    ["unable", "ENGINE_ERROR"],
    ["unable", "TASK_DIR_UNSAFE"],
    ["ignore-term"],
  ]);
  return ["sim", time, ...end];
};

/** What is asked for in one world. */
export function makeWishes(random: Random, count: number): Wish[] {
  const [leastMs, mostMs] = random.pick([
    [1, 15],
    [20, 3_000],
    [20, 30_000],
    [5_000, 60_000],
  ]) as [number, number];
  return Array.from({ length: count }, (_, at) => {
    const command = commands(random, leastMs, mostMs);
    // What a host cannot run, or loses, is tried again only a while later: many of these take longer than a world lives.
    const goesWell = !["lost", "unable"].includes(command[2] ?? "");
    const elements = random.chance(0.25) ? random.int(1, mostMs < 20 && goesWell ? 60 : 8) : 0;
    const tooLarge = random.chance(0.03);
    return {
      key: `key-${at}`,
      user: random.pick(["ada", "bob"]),
      command,
      cpuMilli: tooLarge ? 64_000 : random.pick([500, 1000, 1000, 2000]),
      memoryBytes: random.pick([GiB / 4, GiB, 2 * GiB]),
      timeLimitMs: random.chance(0.2) ? random.int(1_000, 10_000) : 600_000,
      priority: random.pick([0, 0, 0, 5]),
      elements,
      maxLive: elements > 0 && random.chance(0.6) ? random.int(1, 3) : 0,
      onHostLost: random.pick([OnHostLost.WAIT, OnHostLost.WAIT, OnHostLost.RETRY, OnHostLost.RETRY, OnHostLost.FAIL]),
      hostLeaseMs: random.pick([10, 12, 15, 20, 40]) * 1_000,
      after: at > 0 && random.chance(0.25) ? { wish: random.int(0, at - 1), ok: random.chance(0.5) } : undefined,
    };
  });
}

/** As the gateway hands it to storage. */
function newTask(wish: Wish, parent: string | undefined): NewTask {
  const { key, user, command, cpuMilli, memoryBytes, timeLimitMs, priority, elements, maxLive, after } = wish;
  const { onHostLost, hostLeaseMs } = wish;
  return {
    runSpec: RunSpec.fromPartial({
      spec: {
        name: key,
        project: "default",
        command: [...command],
        resources: { cpuMilli, memoryBytes },
        timeLimitMs,
        graceMs: 1_000,
        priority,
        onHostLost,
        hostLeaseMs,
        ...(elements > 0 && { array: { first: 1, last: elements, step: 1, maxLive } }),
        ...(after &&
          parent !== undefined && {
            dependencies: [{ kind: after.ok ? Dependency_Kind.AFTER_OK : Dependency_Kind.AFTER, taskId: parent }],
          }),
      },
      identity: { user, uid: 20_001, gid: 20_001, groups: [20_001] },
    }),
    clientKey: key,
    admin: true, // parents may be of another user
  };
}

/** What users were told. */
export interface Acknowledgements {
  /** Wishes by the id that was acknowledged for them. */
  readonly acknowledged: Map<string, Wish>;
  /** Requests that were acknowledged: they were noted, or the task was over. */
  readonly killed: Set<string>;
}

/** Users of a world: they repeat what was not answered until it is. */
export class Client {
  readonly told: Acknowledgements = { acknowledged: new Map(), killed: new Set() };
  readonly #store: StoreClient;
  readonly #ids: (string | undefined)[] = [];
  readonly #wishes: readonly Wish[];
  readonly #random: Random;
  readonly #problem: (what: string) => void;
  readonly #trace: (what: string) => void;
  /** Wishes that are not acknowledged yet. */
  open: number;

  constructor(
    store: StoreClient,
    wishes: readonly Wish[],
    random: Random,
    problem: (what: string) => void,
    trace: (what: string) => void,
  ) {
    this.#store = store;
    this.#wishes = wishes;
    this.#random = random;
    this.#problem = problem;
    this.#trace = trace;
    this.open = wishes.length;
  }

  /** What that task waits for, by id, and whether it must succeed. */
  parentOf(id: string): { readonly id: string; readonly ok: boolean } | undefined {
    const after = this.told.acknowledged.get(id)?.after;
    const parent = after && this.#ids[after.wish];
    return after && parent !== undefined ? { id: parent, ok: after.ok } : undefined;
  }

  /** One submit; a child waits for its parent's id. */
  async submit(at: number): Promise<void> {
    const wish = this.#wishes[at]!;
    while (wish.after && this.#ids[wish.after.wish] === undefined) await sleep(200);
    const parent = wish.after && this.#ids[wish.after.wish];
    const task = newTask(wish, parent);
    const results = await this.#untilAnswered(() => this.#store.submit({ tasks: [task] }, { deadlineMs: 3_000 }));
    const result = results.results[0];
    if (!result || result.failure) return this.#problem(`submit of ${wish.key} failed: ${JSON.stringify(result)}`);
    this.#ids[at] = result.taskId;
    this.open -= 1;
    this.#trace(`acknowledged ${result.taskId} for ${wish.key}`);
    if (this.told.acknowledged.has(result.taskId))
      this.#problem(`task ${result.taskId} was acknowledged for two submits`);
    this.told.acknowledged.set(result.taskId, wish);
  }

  /** Submits an acknowledged wish again: the answer must be the same task. */
  async submitAgain(): Promise<void> {
    const known = [...this.told.acknowledged];
    if (known.length === 0) return;
    const [id, wish] = this.#random.pick(known);
    const parent = wish.after && this.#ids[wish.after.wish];
    const task = newTask(wish, parent);
    const { results } = await this.#untilAnswered(() => this.#store.submit({ tasks: [task] }, { deadlineMs: 3_000 }));
    if (results[0]?.taskId !== id || !results[0].existing)
      this.#problem(`${wish.key} is task ${id}, and submitted again it is ${JSON.stringify(results[0])}`);
  }

  /** Kills, suspends or resumes one of those that were acknowledged, or an element of an array. */
  async ask(what: "kill" | "suspend" | "resume"): Promise<void> {
    const known = [...this.told.acknowledged];
    if (known.length === 0) return;
    const [id, wish] = this.#random.pick(known);
    const element = wish.elements > 0 && this.#random.chance(0.6);
    await this.request(element ? `${id}.${this.#random.int(1, wish.elements)}` : id, what, wish.user);
  }

  async request(id: string, what: "kill" | "suspend" | "resume", user: string): Promise<void> {
    const request = { kill: TaskRequest.KILL, suspend: TaskRequest.SUSPEND, resume: TaskRequest.RESUME }[what];
    const { results } = await this.#untilAnswered(() =>
      this.#store.requestTasks({ taskIds: [id], request, user, admin: true }, { deadlineMs: 3_000 }),
    );
    const failure = results[0]?.failure?.reason;
    this.#trace(`${what} of ${id}: ${failure ?? "noted"}`);
    if (what === "kill" && failure) this.#problem(`kill of ${id} was refused: ${JSON.stringify(failure)}`);
    if (what === "kill") this.told.killed.add(id);
  }

  /** Changes how many elements of an array may be under way at once. */
  async changeLimit(): Promise<void> {
    const arrays = [...this.told.acknowledged].filter(([, { elements }]) => elements > 0);
    if (arrays.length === 0) return;
    const [taskId, { user }] = this.#random.pick(arrays);
    const maxLive = this.#random.int(0, 3);
    this.#trace(`limit of ${taskId} is to be ${maxLive}`);
    try {
      await this.#untilAnswered(() => this.#store.updateTask({ taskId, user, admin: true, maxLive }));
    } catch (error) {
      if (AppError.from(error).reason !== "NOT_LIVE") throw error;
    }
  }

  /** Old files go, ended elements are folded: as a watcher asks for it now and then. */
  async runHousekeeping(): Promise<void> {
    await this.#store.runHousekeeping(ages, { deadlineMs: 5_000 }).catch(() => {});
  }

  /** As an operator; `before` each time it is said. */
  async declareLost(hostId: string, before: () => void): Promise<void> {
    this.#trace(`${hostId} is declared lost`);
    try {
      await this.#untilAnswered(() => {
        before();
        return this.#store.loseRuns({ hostId, by: "operator", listenedMs: 0, marginMs: 0 }, { deadlineMs: 3_000 });
      });
    } catch (error) {
      if (AppError.from(error).reason !== "HOST_NOT_FOUND") throw error;
    }
  }

  async #untilAnswered<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isRetryable(AppError.from(error))) throw error;
        await sleep(this.#random.int(50, 1_000));
      }
    }
  }
}
