import { AppError, MiB, runKey } from "@berth/core";
import type { Driver, TaskToRun } from "@berth/plugins";
import { ContainerKeeping } from "./container-keeping.ts";
import type { ContainerSite } from "./container-spec.ts";
import { ContainerTable } from "./container-table.ts";
import type { DockerDriverOptions } from "./driver-options.ts";
import { bootedAt, featuresOf, isLocal, limitsOf } from "./engine-abilities.ts";
import { engineClient, rethrow } from "./engine-client.ts";
import type { EngineEvent } from "./engine-client.ts";
import { Outages, watchEngine } from "./engine-watch.ts";
import { holdContainer } from "./held-container.ts";
import { ImagePulls } from "./image-pulls.ts";
import { runControl } from "./run-control.ts";
import { RunEnder } from "./run-ender.ts";
import { RunEvents } from "./run-events.ts";
import { RunOutput } from "./run-output.ts";
import type { OutputOf } from "./run-output.ts";
import { RunStarter } from "./run-starter.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { UsageSampler } from "./usage-sampler.ts";
import { usageMeter } from "./usage.ts";

/**
 * Runs tasks in containers of a Docker engine. The engine has the truth of what runs: a run is found again by its labels, and a container's name keeps a
 * run from being started twice.
 */
export function dockerDriver(options: DockerDriverOptions): Driver {
  const { reserve = { cpuMilli: 0, memoryBytes: 256 * MiB } } = options;
  const { facts } = options.engine;
  const parts = partsOf(options);
  const { stop, client, meter, table, events, ender, starter, sampler, keeping, control, outages, outputOf } = parts;
  let watching: Promise<void> | undefined;

  function onEngineEvent({ Action, Actor }: EngineEvent): void {
    const held = table.ofContainer(Actor.ID);
    if (Action === "oom" && held) ender.noteOutOfMemory(held);
    if (Action !== "die") return;
    if (held) ender.check(held);
    else table.noteEarlyEnd(Actor.ID);
  }

  async function runTasks(tasks: readonly TaskToRun[]): Promise<void> {
    for (const task of tasks) {
      const known = table.get(task.run);
      if (known && known.phase !== "created") continue;
      const withImage = { ...task, image: task.image || options.defaultImage };
      const held = holdContainer(task.run, runKey(task.run), "waiting", withImage);
      table.add(held);
      starter.add(held);
    }
  }

  return {
    getName: () => "docker",
    outputBy: "driver",
    features: () => featuresOf(options.engine, meter),
    capacity: () => ({
      cpuMilli: Math.max(0, facts.NCPU * 1000 - reserve.cpuMilli),
      memoryBytes: Math.max(0, facts.MemTotal - reserve.memoryBytes),
    }),

    async open(signal) {
      await keeping.findAll(AbortSignal.any([signal, stop.signal])).catch(rethrow);
      watching = watchEngine({
        client,
        labels: [`berth.cluster=${options.clusterId}`],
        outages,
        logger: options.logger,
        stop: stop.signal,
        look: () => keeping.look(),
        onEvent: onEngineEvent,
      });
      sampler.start();
    },

    async close() {
      stop.abort(new Error("the driver is closed"));
      events.stopTimers();
      sampler.stop();
      await Promise.all([...table.values()].map(async (held) => held.output?.close()));
      await watching;
      events.close();
      meter.keepOnly(table.withContainer());
    },

    runTasks,

    async runAllTasks(tasks) {
      await runTasks(tasks);
      const began = await Promise.all(tasks.map(({ run }) => table.get(run)!.begun.promise));
      const failure = began.find((event) => event.kind === "failed" || event.kind === "unable");
      if (!failure || !("reason" in failure)) return;
      await Promise.all(tasks.map(({ run }) => control.killTask(run, "KILL")));
      throw AppError.received(
        "unavailable",
        failure.reason.code,
        `the group was not started: ${failure.reason.message}`,
      );
    },

    watchTasks(signal) {
      for (const held of table.values()) {
        if (held.phase !== "running" || !events.wasFound(held)) continue;
        outputOf(held).follow(() => ender.check(held));
        held.startTold = true;
        held.begun.resolve({ kind: "started", run: held.run, at: held.startedAt! });
        ender.check(held);
      }
      return events.batches(signal);
    },

    ...control,

    async takeBack() {},
    async settle(settled) {
      await Promise.all(
        settled.map(async (run) => {
          const held = table.get(run);
          if (!held) return;
          table.settled(held);
          await held.output?.close();
          if (held.containerId !== undefined) await keeping.remove(held.containerId, run).catch(rethrow);
        }),
      );
    },
  };
}

/** Everything that the driver consists of, each part made once. */
function partsOf(options: DockerDriverOptions) {
  const { engine, clusterId, sink, positions, logger } = options;
  const { startConcurrency = 4, logBuffer = { maxBytes: 20 * MiB, files: 5 }, pidsLimit = 4096 } = options;
  const local = isLocal(engine);
  const stop = new AbortController();
  const client = engineClient(engine);
  const meter = usageMeter(client, engine.facts, clusterId, local);
  const site: ContainerSite = {
    clusterId,
    rootless: engine.rootless,
    limits: limitsOf(engine),
    cpus: engine.facts.NCPU,
    init: engine.facts.InitBinary !== "",
    cgroupParent: meter.cgroupParent,
    pidsLimit,
    logBuffer,
  };
  const table = new ContainerTable();
  const events = new RunEvents();
  const outages = new Outages();
  const sampler = new UsageSampler(table, meter);
  const outputOf: OutputOf = (held) =>
    (held.output ??= new RunOutput({ client, sink, positions, logger, logBuffer }, held.run, held.containerId!));
  const shared = { client, meter, table, events, outputOf, logger, stop: stop.signal };
  const ender = new RunEnder({
    ...shared,
    outages,
    bootedAt: options.bootedAt ?? (local ? bootedAt() : undefined),
  });
  const starter = new RunStarter({
    ...shared,
    site,
    queue: new BoundedQueue(startConcurrency),
    pulls: new ImagePulls(client, stop.signal),
    agentUid: process.getuid?.() ?? 0,
    ender,
    sampler,
  });
  const control = runControl({ table, client, meter, starter, sampler, isLocal: local });
  const keeping = new ContainerKeeping({ ...shared, clusterId, ender, sampler });
  return { stop, client, meter, table, events, outages, ender, starter, sampler, keeping, control, outputOf };
}
