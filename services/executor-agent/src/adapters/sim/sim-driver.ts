import { runKey, runRefusal } from "@berth/core";
import type { Resources, Run } from "@berth/core";
import type { Driver, DriverEvent, Feature, TaskToRun } from "@berth/plugins";
import { EventQueue } from "../event-queue.ts";
import { parseSimCommand } from "./sim-command.ts";
import type { SimPlan } from "./sim-command.ts";

export interface SimDriverOptions {
  readonly capacity: Resources;
  /** Duration of a task whose command names none. */
  readonly defaultMs?: number;
}

interface SimTask {
  readonly run: Run;
  readonly plan: SimPlan;
  readonly startedAt: Date;
  /** Remaining time of the virtual process. It also runs while no agent has the driver open. */
  remainingMs: number;
  resumedAtMs: number;
  timer: NodeJS.Timeout | undefined;
  over: DriverEvent | undefined;
}

const features: ReadonlySet<Feature> = new Set<Feature>(["memory", "cpu", "suspend", "cpu_time", "peak_memory"]);
const hundredth = 0.01;

/**
 * Virtual tasks, for tests with thousands of hosts in one process. The driver object plays the engine: tasks continue while it is closed, and are found when it
 * is opened again.
 */
export function simDriver({ capacity, defaultMs = 0 }: SimDriverOptions): Driver {
  const tasks = new Map<string, SimTask>();
  let queue = new EventQueue();
  let open = false;

  const tell = (event: DriverEvent): void => {
    if (open) queue.push(event);
  };

  function begin({ run, command }: TaskToRun): void {
    const key = runKey(run);
    if (tasks.has(key)) return;
    const plan = parseSimCommand(command, defaultMs);
    const task: SimTask = {
      run,
      plan,
      startedAt: new Date(),
      remainingMs: plan.durationMs,
      resumedAtMs: performance.now(),
      timer: undefined,
      over: undefined,
    };
    tasks.set(key, task);
    if (plan.end.kind === "failed" || plan.end.kind === "unable") return end(task);
    tell({ kind: "started", run, at: task.startedAt });
    go(task);
  }

  function go(task: SimTask): void {
    task.resumedAtMs = performance.now();
    if (task.remainingMs <= 0) end(task);
    else task.timer = setTimeout(end, task.remainingMs, task);
  }

  function end(task: SimTask, signal?: number): void {
    if (task.over) return;
    clearTimeout(task.timer);
    task.timer = undefined;
    task.over = endOf(task, signal);
    tell(task.over);
  }

  function endOf({ run, plan, startedAt }: SimTask, killedBy: number | undefined): DriverEvent {
    const at = new Date();
    const { end: its } = plan;
    if (killedBy === undefined && its.kind === "unable")
      return { kind: "unable", run, at, reason: runRefusal(its.code, "as simulated") };
    if (killedBy === undefined && its.kind === "failed")
      return { kind: "failed", run, at, reason: { code: its.code, message: "as simulated" } };
    if (killedBy === undefined && its.kind === "lost")
      return { kind: "lost", run, at, startedAt, reason: { code: its.code, message: "as simulated" } };
    const oom = killedBy === undefined && its.kind === "oom";
    return {
      kind: "ended",
      run,
      startedAt,
      at,
      exitCode: killedBy === undefined && its.kind === "exit" ? its.code : undefined,
      signal: killedBy ?? (its.kind === "signal" ? its.signal : oom ? 9 : undefined),
      outOfMemory: oom,
      usage: { cpuMs: Math.round((at.getTime() - startedAt.getTime()) * hundredth), peakMemoryBytes: 1_000_000 },
      stdoutBytes: 0,
      stderrBytes: 0,
    };
  }

  async function suspendTask(run: Run): Promise<void> {
    const task = tasks.get(runKey(run));
    if (!task?.timer) return;
    clearTimeout(task.timer);
    task.timer = undefined;
    task.remainingMs -= performance.now() - task.resumedAtMs;
  }

  async function resumeTask(run: Run): Promise<void> {
    const task = tasks.get(runKey(run));
    if (task && !task.timer && !task.over) go(task);
  }

  return {
    getName: () => "sim",
    outputBy: "none",
    features: () => features,
    async open() {
      queue = new EventQueue();
      open = true;
    },
    async close() {
      open = false;
      queue.close();
    },
    capacity: () => capacity,
    async runTasks(toRun) {
      for (const task of toRun) begin(task);
    },
    async runAllTasks(toRun) {
      for (const task of toRun) begin(task);
    },
    watchTasks(signal) {
      const found = [...tasks.values()].map(({ run, startedAt, timer, over }): DriverEvent => ({
        kind: "found",
        run,
        startedAt,
        suspended: !timer && !over,
        over: over !== undefined,
      }));
      for (const { over } of tasks.values()) if (over) queue.push(over);
      return queue.batches(found, signal);
    },
    async killTask(run, signal) {
      const task = tasks.get(runKey(run));
      if (!task || task.over) return;
      if (signal === "KILL") end(task, 9);
      else if (!task.plan.ignoresTerm) end(task, 15);
      else await resumeTask(run);
    },
    async takeBack() {},
    suspendTask,
    resumeTask,
    getMappingPort: async () => undefined,
    async usage(run) {
      return tasks.has(runKey(run)) ? { cpuMs: 0, peakMemoryBytes: 1_000_000 } : undefined;
    },
    async settle(runs) {
      for (const run of runs) {
        const task = tasks.get(runKey(run));
        clearTimeout(task?.timer);
        tasks.delete(runKey(run));
      }
    },
  };
}
