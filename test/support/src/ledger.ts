import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ListTasksRequest, SubmitTaskRequest } from "@berth/contracts/api";
import { Outcome, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import type { Api } from "./api.ts";
import type { TestCluster } from "./cluster.ts";
import { retryWhileAway } from "./retry-while-away.ts";

/**
 * Tasks that write down, outside Berth, that they ran: `task attempt nonce`. Then the truth of Berth can be held against that of the world.
 */
export class Ledger {
  readonly #cluster: TestCluster;
  readonly #api: Api;
  readonly #name: string;
  readonly #sleep: string;
  readonly #expected = new Map<string, number>();
  #submitted = 0;

  constructor(cluster: TestCluster, api: Api, name: string, sleepSeconds: string) {
    this.#cluster = cluster;
    this.#api = api;
    this.#name = name;
    this.#sleep = sleepSeconds;
  }

  /** Submits tasks number n, n+1, … which exit with n % 7. */
  async submit(count: number, resources: { cpuMilli: number; memoryBytes: number }): Promise<void> {
    if (count <= 0) return;
    const tasks = Array.from({ length: count }, () => {
      const n = this.#submitted++;
      const script = `nonce=$(cat /proc/sys/kernel/random/uuid)
sleep ${this.#sleep}
echo "$BERTH_TASK_ID $BERTH_ATTEMPT $nonce" >> "$BERTH_VOLUME_SCRATCH/${this.#name}"
exit ${n % 7}
`;
      return SubmitTaskRequest.fromPartial({
        requestId: `${this.#name}-${n}`,
        spec: { name: `${this.#name}-${n}`, script, resources, volumes: [{ name: "scratch" }] },
      });
    });
    const { results } = await retryWhileAway(() => this.#api.tasks.submitTasks({ tasks }));
    for (const [i, { taskId, failure }] of results.entries()) {
      if (failure) throw new Error(`a submit failed: ${failure.message}`);
      this.#expected.set(taskId, Number(tasks[i]!.requestId.split("-").at(-1)) % 7);
    }
  }

  async counts(): Promise<{ running: number; waiting: number; over: number }> {
    const tasks = await this.tasks();
    const of = (...states: TaskState[]) => tasks.filter((t) => states.includes(t.state)).length;
    return {
      running: of(TaskState.PLACED, TaskState.RUNNING),
      waiting: of(TaskState.PENDING),
      over: of(TaskState.OVER),
    };
  }

  async tasks(): Promise<Task[]> {
    const tasks: Task[] = [];
    let pageToken = "";
    do {
      const page = await retryWhileAway(() =>
        this.#api.tasks.listTasks(
          ListTasksRequest.fromPartial({ name: `${this.#name}-*`, all: true, pageSize: 1000, pageToken }),
        ),
      );
      tasks.push(...page.tasks);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tasks;
  }

  async waitUntilOver(withinMs = 120_000): Promise<void> {
    const end = Date.now() + withinMs;
    for (;;) {
      const tasks = await this.tasks();
      const open = tasks.filter((t) => t.state !== TaskState.OVER);
      if (tasks.length === this.#submitted && open.length === 0) return;
      if (Date.now() > end)
        throw new Error(`${open.length} of ${tasks.length} tasks not over, as ${JSON.stringify(open[0])}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /**
   * What is wrong, in words; empty if nothing is. Every task is over with its own exit code; each committed attempt wrote one line; an attempt above 1 only where an
   * earlier one was refused. `mayLose`: a task may instead have ended as lost, where the one who saw its end was killed.
   */
  async faults(options: { readonly mayLose: boolean }): Promise<string[]> {
    const lines = this.#lines();
    const found: string[] = [];
    const tasks = await this.tasks();
    if (tasks.length !== this.#expected.size) found.push(`${this.#expected.size} acknowledged, ${tasks.length} there`);
    for (const task of tasks) {
      const runs = lines.get(task.id) ?? [];
      const expected = this.#expected.get(task.id);
      const wrote = (attempt: number) => runs.filter((a) => a === attempt).length;
      if (task.outcome === Outcome.LOST) {
        if (!options.mayLose) found.push(`${task.id} is lost: ${task.reason?.message}`);
        if (wrote(task.attempt) > 1)
          found.push(`${task.id} wrote ${wrote(task.attempt)} times in attempt ${task.attempt}`);
        continue;
      }
      if (task.exitCode !== expected)
        found.push(
          `${task.id} has exit code ${task.exitCode}, not ${expected}: ${task.outcome} ${task.reason?.message}`,
        );
      if (wrote(task.attempt) !== 1)
        found.push(`${task.id} wrote ${wrote(task.attempt)} lines in its attempt ${task.attempt}`);
      if (runs.length !== 1) found.push(`${task.id} wrote ${runs.length} lines in all`);
      if (task.attempt > 1) {
        const { task: whole } = await retryWhileAway(() => this.#api.tasks.getTask({ taskId: task.id }));
        if (whole?.attempts.length !== task.attempt - 1)
          found.push(
            `${task.id} is at attempt ${task.attempt} and ${whole?.attempts.length} earlier ones are recorded`,
          );
      }
    }
    return found;
  }

  /** Attempts that wrote, by task. */
  #lines(): Map<string, number[]> {
    const byTask = new Map<string, number[]>();
    for (const line of readFileSync(join(this.#cluster.data, "scratch", this.#name), "utf8").split("\n")) {
      const [task, attempt] = line.split(" ");
      if (task && attempt) byTask.set(task, [...(byTask.get(task) ?? []), Number(attempt)]);
    }
    return byTask;
  }
}
