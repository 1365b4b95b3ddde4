import { AppError, runName } from "@berth/core";
import type { DriverEvent, TaskToRun } from "@berth/plugins";
import { backoffMs, sleep } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import { containerBody, runOf } from "./container-spec.ts";
import type { ContainerSite } from "./container-spec.ts";
import type { ContainerTable } from "./container-table.ts";
import { EngineError } from "./engine-client.ts";
import type { ContainerDetails, EngineClient } from "./engine-client.ts";
import type { HeldContainer } from "./held-container.ts";
import type { ImagePulls } from "./image-pulls.ts";
import { safeSource } from "./mount-check.ts";
import { notStarted } from "./not-started.ts";
import type { RunEnder } from "./run-ender.ts";
import type { RunEvents } from "./run-events.ts";
import type { OutputOf } from "./run-output.ts";
import type { BoundedQueue } from "./bounded-queue.ts";
import type { UsageSampler } from "./usage-sampler.ts";
import type { UsageMeter } from "./usage.ts";

export interface RunStarterDeps {
  readonly client: EngineClient;
  readonly site: ContainerSite;
  readonly queue: BoundedQueue;
  readonly pulls: ImagePulls;
  readonly agentUid: number;
  readonly logger: Logger;
  readonly stop: AbortSignal;
  readonly table: ContainerTable;
  readonly events: RunEvents;
  readonly ender: RunEnder;
  readonly meter: UsageMeter;
  readonly sampler: UsageSampler;
  readonly outputOf: OutputOf;
}

/** Thrown if the image must be pulled first, which happens outside the queue. */
class ImageMissing extends Error {}

/** A container that an earlier agent process asked the engine to start may start within this time. */
const settlingMs = 1500;
const pullsForOneRun = 2;
/** Shorter runs are not followed; their output is read once, at their end. */
const followAfterMs = 300;

/** Creates and starts containers, or reports why a run was not started. */
export class RunStarter {
  readonly #deps: RunStarterDeps;
  readonly #pulled = new Map<string, number>();

  constructor(deps: RunStarterDeps) {
    this.#deps = deps;
  }

  add(held: HeldContainer): void {
    this.#deps.queue.add(held.key, () => this.#start(held));
  }

  /** Ends a run that waits for its start. A run in the middle of its start is left alone, because the start checks for a kill at its end. */
  cancel(held: HeldContainer): void {
    if (held.phase !== "waiting" && held.phase !== "created") return;
    this.#deps.queue.remove(held.key);
    void this.#giveUp(held, stoppedBeforeStart(held));
  }

  async #start(held: HeldContainer): Promise<void> {
    const { task } = held;
    if (task === undefined || held.phase === "over") return;
    held.phase = "starting";
    try {
      this.#checkIdentity(task);
      const found = await this.#create(held, task);
      if (held.killed) return await this.#giveUp(held, stoppedBeforeStart(held));
      const ran = found && startedAt(found);
      if (found && ran) return this.#started(held, ran, !found.State.Running);
      await this.#startContainer(held);
    } catch (error) {
      if (this.#deps.stop.aborted) return;
      if (error instanceof ImageMissing) return this.#pullFirst(held, task);
      this.#deps.logger.debug("a run was not started", { run: held.key, error });
      await this.#giveUp(held, notStarted(held, error));
    }
  }

  /** Creates the container. Resolves with its details if it existed before. */
  async #create(held: HeldContainer, task: TaskToRun): Promise<ContainerDetails | undefined> {
    const { client, site, stop } = this.#deps;
    const mounts = await Promise.all(
      task.mounts.map(async (mount) => ({ ...mount, source: await this.#sourceOf(held, mount) })),
    );
    const body = containerBody(task, site, mounts);
    const name = runName(held.run);
    return this.#whileEngineIsAway(held, async () => {
      try {
        held.containerId = (await client.create(name, body, stop)).Id;
        return undefined;
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        if (error.status === 404 && /no such image/i.test(error.message)) throw new ImageMissing();
        if (error.status !== 409) throw error;
        return this.#adopt(held, name);
      }
    });
  }

  /** The checked source of a mount. Messages to the user name the mount's target; only the agent's log names its path on this host. */
  async #sourceOf(held: HeldContainer, { source, target }: TaskToRun["mounts"][number]): Promise<string> {
    try {
      return await safeSource(source, this.#deps.agentUid);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#deps.logger.warn("a volume is not mounted", { run: held.key, error });
      const why = error.reason === "VOLUME_MISSING" ? "does not exist on this host" : "could be exchanged by others";
      throw AppError.received(error.code, error.reason, `the volume for ${target} is not mounted: it ${why}`, {
        cause: error,
      });
    }
  }

  /** The name is taken: by this run's own container, if the engine's answer was lost, or by another container. */
  async #adopt(held: HeldContainer, name: string): Promise<ContainerDetails> {
    const { client, site, stop } = this.#deps;
    for (let waitedMs = 0; ; waitedMs += 250) {
      const details = await client.inspect(name, stop);
      const run = runOf(site.clusterId, details.Config.Labels);
      if (run?.epoch !== held.run.epoch || run.taskId !== held.run.taskId || run.attempt !== held.run.attempt) {
        throw new AppError("conflict", "NAME_TAKEN", `a container that is not of this cluster has the name ${name}`);
      }
      held.containerId = details.Id;
      if (startedAt(details) !== undefined || waitedMs >= settlingMs) return details;
      await sleep(250, stop);
    }
  }

  async #startContainer(held: HeldContainer): Promise<void> {
    const { client, stop } = this.#deps;
    const id = held.containerId!;
    let asked = false;
    await this.#whileEngineIsAway(held, async () => {
      if (asked) {
        // An earlier call may have started it. A second start of a container that has ended would run it twice.
        const details = await client.inspect(id, stop);
        if (startedAt(details)) return;
      } else await this.#deps.outputOf(held).attach(stop);
      asked = true;
      await client.start(id, stop);
    });
    this.#started(held, new Date(), false);
  }

  /** The container's process was started. `over`: it has ended already. */
  #started(held: HeldContainer, at: Date, over: boolean): void {
    const { client, table, events, ender, sampler, outputOf, logger } = this.#deps;
    table.started(held, at);
    events.startedSoon(held);
    sampler.afterStart(held, events);
    // The kill came during the start.
    if (held.killed)
      client
        .kill(held.containerId!, `SIG${held.killed}`)
        .catch((error: unknown) => logger.warn("a run could not be signalled", { run: held.key, error }));
    if (over || table.takeEarlyEnd(held.containerId!)) return ender.check(held);
    events.later(followAfterMs, () => {
      if (held.phase === "running" && !held.ending) outputOf(held).follow(() => ender.check(held));
    });
  }

  #pullFirst(held: HeldContainer, task: TaskToRun): void {
    const { image } = task;
    const pulls = (this.#pulled.get(held.key) ?? 0) + 1;
    this.#pulled.set(held.key, pulls);
    held.phase = "waiting";
    if (held.killed) return void this.#giveUp(held, stoppedBeforeStart(held));
    const fetched =
      pulls > pullsForOneRun
        ? Promise.reject(
            new AppError("unavailable", "IMAGE_PULL_FAILED", `image ${image} was pulled and is gone again`),
          )
        : this.#deps.pulls.pull(image, (detail) => this.#tell(held, detail));
    fetched.then(
      () => {
        if (held.phase === "waiting") this.add(held);
      },
      (error: unknown) => {
        if (held.phase === "waiting" && !this.#deps.stop.aborted) void this.#giveUp(held, notStarted(held, error));
      },
    );
  }

  #tell(held: HeldContainer, detail: string): void {
    if (held.phase === "waiting" || held.phase === "starting") this.#deps.events.preparing(held, detail);
  }

  async #giveUp(held: HeldContainer, event: DriverEvent): Promise<void> {
    this.#pulled.delete(held.key);
    if (held.phase === "over") return;
    held.phase = "over";
    await held.output?.close();
    if (held.containerId !== undefined) {
      await this.#deps.client
        .remove(held.containerId)
        .catch((error: unknown) =>
          this.#deps.logger.warn("a container could not be removed", { run: held.key, error }),
        );
    }
    if (held.containerId) this.#deps.meter.forget(held.run);
    this.#deps.events.notStarted(held, event);
  }

  #checkIdentity({ identity }: TaskToRun): void {
    const { site, agentUid } = this.#deps;
    if (site.rootless && identity.uid !== agentUid) {
      throw new AppError(
        "denied",
        "IDENTITY_NOT_POSSIBLE",
        `the rootless engine here runs everything as uid ${agentUid}, and ${identity.user} is uid ${identity.uid}`,
      );
    }
    if (!site.rootless && identity.uid === 0)
      throw new AppError("denied", "IDENTITY_NOT_POSSIBLE", "nothing runs as root of this host");
  }

  /** Repeats `work` while the engine cannot be reached. The run is neither refused nor failed for that. */
  async #whileEngineIsAway<T>(held: HeldContainer, work: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await work();
      } catch (error) {
        this.#deps.stop.throwIfAborted();
        if (!(error instanceof EngineError) || error.status !== 0) throw error;
        if (held.killed && held.containerId === undefined)
          throw new AppError("unavailable", "STOPPED_BEFORE_START", "stopped before it was started", { cause: error });
        this.#tell(held, "waiting for the container engine");
        await sleep(backoffMs(failures, Math.random, { baseMs: 100, maxMs: 5000 }), this.#deps.stop);
      }
    }
  }
}

/** When the container's process started; undefined if it never did, for which the engine writes the year 1. */
export function startedAt({ State }: ContainerDetails): Date | undefined {
  if (State.Status === "created" || State.StartedAt.startsWith("0001-")) return undefined;
  return new Date(State.StartedAt);
}

const stoppedBeforeStart = ({ run }: HeldContainer): DriverEvent => ({
  kind: "unable",
  run,
  at: new Date(),
  reason: { code: "STOPPED_BEFORE_START", message: "stopped before it was started" },
});
