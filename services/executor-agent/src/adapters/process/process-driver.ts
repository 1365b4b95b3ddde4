import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { AppError, runKey, runRefusal } from "@berth/core";
import type { Resources, Run } from "@berth/core";
import type { Driver, DriverEvent, Feature, TaskToRun } from "@berth/plugins";
import type { Logger } from "@berth/runtime";
import { EventQueue } from "../event-queue.ts";
import { eventOf, foundEvent, lostEvent, runOfKey } from "./record-events.ts";
import type { HostCgroups } from "./host-cgroups.ts";
import { Keepers } from "./keepers.ts";
import type { Keeper } from "./keepers.ts";
import { RunCgroup } from "./keeper/cgroup.ts";
import type { RunRecord, RunSignal, StartRun } from "./keeper/protocol.ts";
import { machineMemory } from "./machine-memory.ts";
import { watchMemory } from "./memory-watch.ts";
import { watchOrphans } from "./orphans.ts";
import { StartOutcomes } from "./start-outcomes.ts";
import { identityRefusal, startRun } from "./start-run.ts";

export interface ProcessDriverOptions {
  /** Keepers' records; must survive the agent. */
  readonly dataDir: string;
  /** Keepers' sockets, whose paths must be short. */
  readonly runDir: string;
  readonly bootId: string;
  /** What tasks may use of the machine's resources. */
  readonly capacity: (machine: Resources) => Resources;
  /** A keeper's own environment; tasks have theirs. */
  readonly env: Readonly<Record<string, string>>;
  /** Where each run has a cgroup of its own; undefined where this agent can make none. */
  readonly cgroups: HostCgroups | undefined;
  readonly logger: Logger;
}

/** A run that the agent handed to a keeper. */
interface HandedRun {
  readonly keeper: Keeper | undefined;
  /** Set until the keeper has confirmed the start. If the keeper dies before that, without a record of the run, the run is started again. */
  readonly task: TaskToRun | undefined;
  readonly over: boolean;
}

const keeperGone = runRefusal("KEEPER_GONE", "its turn was to come after a run whose keeper was killed");

/** A keeper that started nothing for this long is retired: its memory is worth more than the 60 ms of a start. */
const idleKeeperMs = 10 * 60_000;

/**
 * Tasks as plain processes of their users, each under that user's keeper: no container, and no isolation but the system's own between users. Started by root,
 * it runs nothing as root; started by another, it can only be that user.
 */
export function processDriver(options: ProcessDriverOptions): Driver {
  const { dataDir, runDir, bootId, env, cgroups, logger } = options;
  const self = process.getuid?.() ?? -1;
  const runs = new Map<string, HandedRun>();
  const lastUse = new Map<string, number>();
  /** The last signal per live run. Sent again when its keeper dies, which may not have read it. */
  const signals = new Map<string, RunSignal>();
  const outcomes = new StartOutcomes();
  let queue = new EventQueue();
  let found: DriverEvent[] | undefined = [];
  let sweeping: NodeJS.Timeout | undefined;

  const memory = watchMemory((key) => send(runOfKey(key), "KILL"));
  const keepers = new Keepers({
    dataDir,
    runDir,
    bootId,
    env,
    cgroups,
    logger,
    onRecords,
    onReconnected,
    onLost,
    onEarlierBoot: (dir) => orphans.adoptEnded(dir),
  });
  const cgroupOf = (dir: string, { g }: RunRecord): RunCgroup | undefined =>
    g === undefined || !cgroups ? undefined : new RunCgroup(cgroups.placeOf(basename(dir)), g);
  const orphans = watchOrphans({
    emit,
    emptied: (dir) => keepers.removeDir(dir),
    cgroupOf,
    memory,
  });

  function emit(event: DriverEvent): void {
    if (event.kind === "found" && found) found.push(event);
    else queue.push(event);
    outcomes.onEvent(event);
  }

  function onRecords(keeper: Keeper, records: readonly RunRecord[]): void {
    for (const record of records) onRecord(keeper, record);
  }

  /** A keeper says how far a run is. */
  function onRecord(keeper: Keeper, record: RunRecord): void {
    const before = runs.get(record.k);
    if (before?.over) return;
    const over = (record.x ?? record.f) !== undefined;
    const isStarted = record.pid !== undefined;
    if (over) signals.delete(record.k);
    runs.set(record.k, { keeper, task: isStarted || over ? undefined : before?.task, over });
    // The keeper reported start and end at once.
    if (over && before?.task && record.at !== undefined)
      emit({ kind: "started", run: before.task.run, at: new Date(record.at) });
    if (isStarted && !over) memory.add(record.k, record.pid!, record.m, cgroupOf(keeper.dir, record));
    const event = eventOf(record, over ? memory.remove(record.k) : { outOfMemory: false, peakBytes: undefined });
    if (event) emit(event);
  }

  /** Takes over the runs that a keeper had when the agent connected. */
  function adoptFound(keeper: Keeper): void {
    for (const record of keeper.link.found) {
      if (!runs.has(record.k)) emit(foundEvent(record));
      onRecord(keeper, record);
    }
  }

  function onReconnected(keeper: Keeper, before: Keeper): void {
    const has = new Set(keeper.link.found.map(({ k }) => k));
    const again = tasksOf(before, (key) => !has.has(key));
    adoptFound(keeper);
    startAgain(again);
    signalAgain(keeper);
  }

  function onLost(dir: string, before: Keeper | undefined): void {
    if (before) logger.warn("a keeper is gone; its tasks run on, and nobody waits for them", { pid: before.link.pid });
    for (const [key, handed] of runs) if (handed.keeper === before) memory.remove(key);
    orphans.adopt(dir, (key) => runs.get(key)?.over ?? false);
    if (!before) return;
    const its = [...runs].filter(([, handed]) => handed.keeper === before);
    const unbegun = tasksOf(before, (key) => !orphans.has(runOfKey(key)));
    startAgain(unbegun.filter(({ lane }) => lane === undefined));
    // The run before them in the lane may still use its place, and only the dead keeper would have seen it end.
    for (const { run } of unbegun.filter(({ lane }) => lane !== undefined))
      emit({ kind: "unable", run, at: new Date(), reason: keeperGone });
    for (const [key, handed] of its) {
      runs.delete(key);
      const signal = signals.get(key);
      if (signal) orphans.signal(runOfKey(key), signal);
      if (!orphans.has(runOfKey(key)) && !handed.task && !handed.over) emit(lostEvent({ k: key, o: "", r: "", m: 0 }));
    }
  }

  const tasksOf = (keeper: Keeper, wanted: (key: string) => boolean): TaskToRun[] =>
    [...runs].flatMap(([key, handed]) => (handed.keeper === keeper && handed.task && wanted(key) ? [handed.task] : []));

  function startAgain(tasks: readonly TaskToRun[]): void {
    for (const task of tasks) runs.delete(runKey(task.run));
    if (tasks.length > 0) void start(tasks);
  }

  function signalAgain(keeper: Keeper): void {
    for (const [key, signal] of signals) if (runs.get(key)?.keeper === keeper) keeper.link.signal(key, signal);
  }

  function byKeeper<T>(items: readonly T[], keyOf: (item: T) => string): Map<Keeper, T[]> {
    const sorted = new Map<Keeper, T[]>();
    for (const item of items) {
      const keeper = runs.get(keyOf(item))?.keeper;
      if (!keeper) continue;
      const its = sorted.get(keeper);
      if (its) its.push(item);
      else sorted.set(keeper, [item]);
    }
    return sorted;
  }

  /** Hands runs to the keepers of their users. A refused run is reported as an event. */
  async function start(tasks: readonly TaskToRun[]): Promise<void> {
    const toStart = new Map<Keeper, StartRun[]>();
    for (const task of tasks) {
      const key = runKey(task.run);
      if (runs.has(key) || orphans.has(task.run)) continue;
      const refusal = identityRefusal(task, self);
      if (refusal) {
        emit(refusal);
        continue;
      }
      try {
        const ready = keepers.for(task.identity);
        const keeper = ready instanceof Promise ? await ready : ready;
        runs.set(key, { keeper, task, over: false });
        lastUse.set(keeper.dir, performance.now());
        const list = toStart.get(keeper);
        if (list) list.push(startRun(task));
        else toStart.set(keeper, [startRun(task)]);
      } catch (error) {
        const { reason, message } = AppError.from(error);
        emit({ kind: "unable", run: task.run, at: new Date(), reason: runRefusal(reason, message) });
      }
    }
    for (const [keeper, list] of toStart) keeper.link.start(list);
  }

  function send(run: Run, signal: RunSignal): void {
    const handed = runs.get(runKey(run));
    if (handed?.keeper && !handed.over) signals.set(runKey(run), signal);
    if (handed?.keeper) handed.keeper.link.signal(runKey(run), signal);
    else orphans.signal(run, signal);
  }

  /** Retires keepers that are empty and were not used for `idleKeeperMs`. */
  function sweep(): void {
    const busy = new Set([...runs.values()].map(({ keeper }) => keeper));
    for (const keeper of keepers.live) {
      if (!busy.has(keeper) && performance.now() - (lastUse.get(keeper.dir) ?? 0) > idleKeeperMs)
        keepers.retire(keeper);
    }
  }

  const capacity = options.capacity({ cpuMilli: availableParallelism() * 1000, memoryBytes: machineMemory() });
  const features = new Set<Feature>([
    cgroups?.limitsMemory ? "memory" : "memory_watched",
    "suspend",
    "cpu_time",
    "lanes",
    ...(self === 0 ? (["identity"] as const) : []),
  ]);
  return {
    getName: () => "process",
    features: () => features,
    async open() {
      queue = new EventQueue();
      found = [];
      await keepers.open();
      for (const keeper of keepers.live) adoptFound(keeper);
      sweeping = setInterval(sweep, idleKeeperMs / 2);
    },
    async close() {
      clearInterval(sweeping);
      keepers.close();
      orphans.close();
      memory.close();
      runs.clear();
      queue.close();
    },
    capacity: () => capacity,
    runTasks: start,
    async runAllTasks(tasks) {
      const ready = tasks.map(({ run }) => outcomes.of(run));
      await start(tasks);
      const failed = (await Promise.all(ready)).find((event) => event.kind !== "started");
      if (!failed) return;
      for (const { run } of tasks) send(run, "KILL");
      throw new AppError("unavailable", "NOT_ALL_STARTED", `task ${failed.run.taskId} could not be started`);
    },
    watchTasks(signal) {
      const first = found ?? [];
      found = undefined;
      return queue.batches(first, signal);
    },
    async killTask(run, signal) {
      send(run, signal);
      if (!runs.get(runKey(run))?.keeper && signal === "TERM") send(run, "CONT");
    },
    async takeBack(unwanted) {
      for (const [keeper, keys] of byKeeper(unwanted.map(runKey), (key) => key)) keeper.link.takeBack(keys);
    },
    async suspendTask(run) {
      send(run, "STOP");
    },
    async resumeTask(run) {
      send(run, "CONT");
    },
    extendLeases(leases) {
      for (const [keeper, its] of byKeeper(leases, ({ run }) => runKey(run)))
        keeper.link.extend(
          its.map(({ run, untilBootMs }) => ({
            k: runKey(run),
            ...(untilBootMs === undefined ? {} : { u: untilBootMs }),
          })),
        );
    },
    getMappingPort: async (_run, containerPort) => containerPort,
    async usage(run) {
      const key = runKey(run);
      return runs.has(key) ? { cpuMs: undefined, peakMemoryBytes: memory.peakOf(key) } : undefined;
    },
    async settle(settled) {
      const keys = settled.map(runKey);
      for (const [keeper, its] of byKeeper(keys, (key) => key)) keeper.link.settle(its);
      for (const key of keys) {
        runs.delete(key);
        signals.delete(key);
      }
      orphans.settle(keys);
    },
  };
}
