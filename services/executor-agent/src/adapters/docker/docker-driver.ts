import { AppError, MiB, runKey } from "@berth/core";
import type { Run } from "@berth/core";
import type { Driver, DriverEvent, TaskToRun } from "@berth/plugins";
import { EventQueue } from "../event-queue.ts";
import { isLeased, runOf } from "./container-spec.ts";
import type { ContainerSite } from "./container-spec.ts";
import type { DockerDriverOptions } from "./driver-options.ts";
import { bootedAt, featuresOf, isLocal, limitsOf } from "./engine-abilities.ts";
import { engineClient, isUp, rethrow, unlessGone } from "./engine-client.ts";
import type { ContainerRow } from "./engine-client.ts";
import { Outages, watchEngine } from "./engine-watch.ts";
import { holdContainer } from "./held-container.ts";
import type { HeldContainer } from "./held-container.ts";
import { ImagePulls } from "./image-pulls.ts";
import { runControl } from "./run-control.ts";
import { RunEnder } from "./run-ender.ts";
import { RunOutput } from "./run-output.ts";
import { RunStarter, startedAt } from "./run-starter.ts";
import { StartQueue } from "./start-queue.ts";
import { usageMeter } from "./usage.ts";

/** Shorter runs are read once, at their end. */
const followAfterMs = 300;
/** Docker's init says only some milliseconds after the start that there is no such command; until then it is not told as started. */
const tellStartAfterMs = 100;
const sampleEveryMs = 5000;

/**
 * Runs tasks in containers of a Docker engine. The engine has the truth of what runs: a run is found again by its labels, and a container's name keeps a
 * run from being started twice.
 */
export function dockerDriver(options: DockerDriverOptions): Driver {
  const {
    engine,
    clusterId,
    sink,
    positions,
    logger,
    startConcurrency = 4,
    logBuffer = { maxBytes: 20 * MiB, files: 5 },
    reserve = { cpuMilli: 0, memoryBytes: 256 * MiB },
  } = options;
  const { facts } = engine;
  const client = engineClient(engine);
  const meter = usageMeter(client, facts, clusterId, isLocal(engine));
  const site: ContainerSite = {
    clusterId,
    rootless: engine.rootless,
    limits: limitsOf(engine),
    cpus: facts.NCPU,
    init: facts.InitBinary !== "",
    cgroupParent: meter.cgroupParent,
    pidsLimit: options.pidsLimit ?? 4096,
    logBuffer,
  };
  const features = featuresOf(engine, meter);
  const runs = new Map<string, HeldContainer>();
  const byContainer = new Map<string, HeldContainer>();
  const removals = new Map<string, Run>();
  const timers = new Set<NodeJS.Timeout>();
  const [stop, events] = [new AbortController(), new EventQueue()];
  const found: DriverEvent[] = [];
  const outages = new Outages();
  let watching: Promise<void> | undefined;

  const starter = new RunStarter({
    client,
    site,
    queue: new StartQueue(startConcurrency),
    pulls: new ImagePulls(client, stop.signal),
    agentUid: process.getuid?.() ?? 0,
    logger,
    stop: stop.signal,
    attach: (held) => outputOf(held).attach(stop.signal),
    onStarted(held, at, over) {
      running(held, at);
      tellStartSoon(held);
      if (!meter.exact) later(1000, () => void sample(held));
      if (held.killed)
        control
          .killTask(held.run, held.killed)
          .catch((error: unknown) => logger.warn("a run could not be signalled", { run: held.key, error }));
      if (over || ended.delete(held.containerId!)) ender.check(held);
      else
        later(
          followAfterMs,
          () => held.phase === "running" && !held.ending && outputOf(held).follow(() => ender.check(held)),
        );
    },
    onNotStarted(held, event) {
      events.push(event);
      if (event.kind === "preparing") return;
      if (held.containerId) meter.forget(held.run);
      held.begun.resolve(event);
    },
  });
  const ender = new RunEnder({
    client,
    meter,
    outages,
    logger,
    stop: stop.signal,
    bootedAt: options.bootedAt ?? (isLocal(engine) ? bootedAt() : undefined),
    onEnded(held, event) {
      if (event.kind === "failed") held.begun.resolve(event);
      else tellStart(held);
      held.phase = "over";
      events.push(event);
    },
  });
  /** Ends that came before the answer to the start. */
  const ended = new Set<string>();

  const control = runControl({ runs, client, meter, starter, sample, isLocal: isLocal(engine) });

  function running(held: HeldContainer, at: Date): void {
    held.phase = "running";
    held.startedAt = at;
    outputOf(held);
    byContainer.set(held.containerId!, held);
  }
  const outputOf = (held: HeldContainer): RunOutput =>
    (held.output ??= new RunOutput({ client, sink, positions, logger, logBuffer }, held.run, held.containerId!));

  /** Not while its end is looked into: that may show that it never began. */
  function tellStartSoon(held: HeldContainer): void {
    later(tellStartAfterMs, () => (held.ending ? tellStartSoon(held) : tellStart(held)));
  }

  /** Once, before its end. */
  function tellStart(held: HeldContainer): void {
    if (held.startTold || held.phase !== "running") return;
    held.startTold = true;
    const event: DriverEvent = { kind: "started", run: held.run, at: held.startedAt! };
    events.push(event);
    held.begun.resolve(event);
  }

  function later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  }

  async function adopt(row: ContainerRow): Promise<void> {
    const run = runOf(clusterId, row.Labels);
    if (!run || row.State === "removing") return;
    const details = await client.inspect(row.Id, stop.signal);
    const at = startedAt(details);
    const held = holdContainer(run, runKey(run), "created");
    held.containerId = row.Id;
    runs.set(held.key, held);
    // Nothing ran: whoever asks for the run finds the container by its name, and starts it.
    if (at === undefined) return;
    held.paused = details.State.Paused;
    running(held, at);
    const { Paused: suspended, Running: up } = details.State;
    found.push({ kind: "found", run, startedAt: at, suspended, over: !up, leased: isLeased(row.Labels) });
  }

  async function look(): Promise<void> {
    const rows = await client.list([`berth.cluster=${clusterId}`], stop.signal);
    const up = new Set(rows.filter(isUp).map(({ Id }) => Id));
    for (const [id, held] of byContainer) if (held.phase === "running" && !up.has(id)) ender.check(held);
    await Promise.all([...removals].map(([id, run]) => remove(id, run)));
    meter.keepOnly(withContainer());
    if (!meter.exact) for (const held of runs.values()) void sample(held);
  }

  /** Runs that have, or may get at any moment, a container. */
  const withContainer = (): Run[] => [...[...runs.values()].map(({ run }) => run), ...removals.values()];

  async function sample(held: HeldContainer): Promise<void> {
    if (held.phase === "running" && held.containerId) held.sampled = await meter.read(held.run, held.containerId);
  }

  async function remove(id: string, run: Run): Promise<void> {
    removals.set(id, run);
    await client.remove(id);
    removals.delete(id);
    meter.forget(run);
  }

  async function runTasks(tasks: readonly TaskToRun[]): Promise<void> {
    for (const task of tasks) {
      const key = runKey(task.run);
      const known = runs.get(key);
      if (known && known.phase !== "created") continue;
      const held = holdContainer(task.run, key, "waiting", { ...task, image: task.image || options.defaultImage });
      runs.set(key, held);
      starter.add(held);
    }
  }

  return {
    getName: () => "docker",
    features: () => features,
    capacity: () => ({
      cpuMilli: Math.max(0, facts.NCPU * 1000 - reserve.cpuMilli),
      memoryBytes: Math.max(0, facts.MemTotal - reserve.memoryBytes),
    }),

    async open(signal) {
      const opening = AbortSignal.any([signal, stop.signal]);
      try {
        const rows = await client.list([`berth.cluster=${clusterId}`], opening);
        for (let from = 0; from < rows.length; from += 8)
          await Promise.all(rows.slice(from, from + 8).map((row) => adopt(row).catch(unlessGone)));
      } catch (error) {
        rethrow(error);
      }
      watching = watchEngine({
        client,
        labels: [`berth.cluster=${clusterId}`],
        outages,
        logger,
        stop: stop.signal,
        look,
        onEvent({ Action, Actor }) {
          const held = byContainer.get(Actor.ID);
          if (Action === "oom" && held) ender.noteOutOfMemory(held);
          if (Action !== "die") return;
          if (held) ender.check(held);
          else if (ended.size < 1000) ended.add(Actor.ID);
        },
      });
      if (!meter.exact) timers.add(setInterval(() => runs.forEach((held) => void sample(held)), sampleEveryMs));
    },

    async close() {
      stop.abort(new Error("the driver is closed"));
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...runs.values()].map(async (held) => held.output?.close()));
      await watching;
      events.close();
      meter.keepOnly(withContainer());
    },

    runTasks,

    async runAllTasks(tasks) {
      await runTasks(tasks);
      const held = tasks.map((task) => runs.get(runKey(task.run))!);
      const began = await Promise.all(held.map(({ begun }) => begun.promise));
      const failure = began.find((event) => event.kind === "failed" || event.kind === "unable");
      if (!failure || !("reason" in failure)) return;
      await Promise.all(held.map(({ run }) => control.killTask(run, "KILL")));
      throw new AppError("unavailable", failure.reason.code, `the group was not started: ${failure.reason.message}`);
    },

    watchTasks(signal) {
      for (const held of runs.values()) {
        if (held.phase !== "running" || !found.some(({ run }) => run === held.run)) continue;
        outputOf(held).follow(() => ender.check(held));
        held.startTold = true;
        held.begun.resolve({ kind: "started", run: held.run, at: held.startedAt! });
        ender.check(held);
      }
      return events.batches(found, signal);
    },

    ...control,

    async takeBack() {},
    async settle(settled) {
      await Promise.all(
        settled.map(async (run) => {
          const held = runs.get(runKey(run));
          if (!held) return;
          runs.delete(held.key);
          held.phase = "over";
          await held.output?.close();
          if (held.containerId === undefined) return;
          byContainer.delete(held.containerId);
          await remove(held.containerId, run).catch(rethrow);
        }),
      );
    },
  };
}
