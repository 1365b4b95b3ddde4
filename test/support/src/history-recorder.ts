import { existsSync, readFileSync } from "node:fs";
import { AppError, MiB } from "@berth/core";
import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import { ListTasksRequest, SubmitTaskRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import type { Task, TaskSpec } from "@berth/contracts/types";
import { followTasks } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import { until } from "./cluster.ts";
import type { History, Stored, Observation, View, LedgerLine } from "./history.ts";
import type { Wish } from "./submit.ts";

const patience = { patienceMs: 60_000, deadlineMs: 90_000 };

/** Uses a cluster and writes down all that it is told, for `faultsOf`. */
export class Recorder {
  readonly told: Observation[] = [];
  /** Why no answer came, for whoever looks at a failed test. */
  readonly unanswered: string[] = [];
  readonly #berth: Berth;
  readonly #ledger: string | undefined;
  #untold = false;
  readonly #stop = new AbortController();
  readonly #watches = new Map<string, Promise<void>>();

  /** `ledger`: the file that tasks of `ledgerTask` write to. */
  constructor(berth: Berth, ledger?: string) {
    this.#berth = berth;
    this.#ledger = ledger;
  }

  /** Ids of the tasks that were acknowledged so far. */
  get taskIds(): string[] {
    return [
      ...new Set(this.told.flatMap((one) => (one.kind === "submit" && one.taskId !== undefined ? [one.taskId] : []))),
    ];
  }

  /** Submits under request ids, and tells the results. Where no answer came, nobody knows: false. */
  async submit(
    tasks: readonly { readonly requestId: string; readonly spec: Wish }[],
    call = patience,
  ): Promise<boolean> {
    const requests = tasks.map(({ requestId, spec }) =>
      SubmitTaskRequest.fromPartial({ requestId, spec: spec as unknown as TaskSpec }),
    );
    try {
      const { results } = await this.#berth.tasks.submitTasks({ tasks: requests }, call);
      const toldAt = performance.now();
      for (const [at, { taskId, failure }] of results.entries()) {
        const { requestId, spec } = tasks[at]!;
        if (failure?.code === "unavailable") {
          this.#untold = true;
          this.unanswered.push(`${requestId}: ${failure.message}`);
        } else
          this.told.push({
            kind: "submit",
            toldAt,
            requestId,
            spec: JSON.stringify(spec),
            taskId: taskId || undefined,
            refusal: failure?.reason,
          });
      }
      return results.every(({ failure }) => failure?.code !== "unavailable");
    } catch (error) {
      const { code, message } = AppError.from(error);
      if (code !== "unavailable") throw error;
      this.#untold = true;
      this.unanswered.push(message);
      return false;
    }
  }

  /** Watches everything from now on, until `whole`; resolves once the watch has begun. */
  async watch(name: string, berth = this.#berth): Promise<void> {
    const { signal } = this.#stop;
    const begun = Promise.withResolvers<void>();
    const watching = async (): Promise<void> => {
      for await (const message of followTasks(berth, { token: "", user: "", taskIds: [] }, { signal })) {
        begun.resolve();
        if (message.startAgain) throw new Error(`watch ${name} must start again`);
        const toldAt = performance.now();
        for (const task of message.tasks)
          this.told.push({ kind: "event", watch: name, toldAt, taskId: task.id, view: viewOf(task) });
      }
    };
    const ended = watching().catch((error: unknown) => {
      begun.reject(error);
      if (!signal.aborted) throw error;
    });
    this.#watches.set(name, ended);
    await begun.promise;
  }

  /** How many ends of tasks a watch told. */
  endsOf(watch: string): number {
    return this.told.filter((one) => one.kind === "event" && one.watch === watch && one.view.state === "over").length;
  }

  async read(taskId: string): Promise<View> {
    const askedAt = performance.now();
    const { task } = await this.#berth.tasks.getTask({ taskId }, patience);
    const view = viewOf(task!);
    this.told.push({ kind: "read", askedAt, toldAt: performance.now(), taskId, view });
    return view;
  }

  /** Lists all tasks, which counts as a read of each. */
  async list(): Promise<Task[]> {
    const tasks: Task[] = [];
    let pageToken = "";
    do {
      const askedAt = performance.now();
      const request = ListTasksRequest.fromPartial({ all: true, pageSize: 1_000, pageToken });
      const page = await this.#berth.tasks.listTasks(request, patience);
      const toldAt = performance.now();
      for (const task of page.tasks)
        this.told.push({ kind: "read", askedAt, toldAt, taskId: task.id, view: viewOf(task) });
      tasks.push(...page.tasks);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tasks;
  }

  /** Resolves when all that was acknowledged, and all else that is there, is over. */
  async untilOver(withinMs = 120_000): Promise<void> {
    const end = performance.now() + withinMs;
    for (;;) {
      const tasks = await this.list();
      const open = tasks.filter(({ state }) => state !== TaskState.OVER);
      if (open.length === 0) return;
      if (performance.now() > end)
        throw new Error(
          `${open.length} of ${tasks.length} not over, as ${JSON.stringify({ ...open[0], spec: undefined })}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Waits until so many tasks are over and each watch has told so many ends, and ends the watches; then everything. */
  async whole(tasks: number, more: Partial<Pick<History, "capacity" | "mayHaveUntold">> = {}): Promise<History> {
    await this.untilOver();
    const wholeWatches = [...this.#watches.keys()];
    await until(() => wholeWatches.every((name) => this.endsOf(name) >= tasks), "all ends to be told");
    this.#stop.abort();
    await Promise.all(this.#watches.values());
    return this.history({ wholeWatches, ...more });
  }

  /** Everything, with what the store says now. */
  async history(more: Partial<Pick<History, "wholeWatches" | "capacity" | "mayHaveUntold">> = {}): Promise<History> {
    const stored = (await this.list()).map((task): Stored => ({
      taskId: task.id,
      ...viewOf(task),
      exitCode: task.exitCode,
    }));
    const { tasks: counts } = await this.#berth.hosts.getStatus({}, patience);
    const wrote = this.#ledger === undefined ? undefined : readLedger(this.#ledger);
    return { told: this.told, wrote, stored, counts, wholeWatches: [], mayHaveUntold: this.#untold, ...more };
  }
}

function viewOf(task: Task): View {
  const state = stateFromWire(task.state) ?? "unknown";
  const over = state === "over" || state === "archived";
  return { state, attempt: task.attempt, outcome: over ? outcomeFromWire(task.outcome) : undefined };
}

const ledgerScript = (seconds: string): string => `say() {
  echo "$BERTH_TASK_ID $BERTH_ATTEMPT $1 $(($(date +%s%N) / 1000000))" >> "$BERTH_VOLUME_SCRATCH/ledger"
}
say start
sleep ${seconds}
say end
`;

/** A task of one cpu that writes its start and its end to `ledger` in the volume `scratch`, outside Berth. */
export const ledgerTask = (seconds: string): Wish => ({
  script: ledgerScript(seconds),
  resources: { cpuMilli: 1_000, memoryBytes: 16 * MiB },
  volumes: [{ name: "scratch" }],
});

/** What tasks of `ledgerTask` wrote. */
function readLedger(path: string): LedgerLine[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [taskId = "", attempt, mark, at] = line.split(" ");
      if (mark !== "start" && mark !== "end") throw new Error(`not a line of a ledger: ${line}`);
      return { taskId, attempt: Number(attempt), mark, at: Number(at) };
    });
}
