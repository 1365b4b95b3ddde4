import { AppError, runRefusal } from "@berth/core";
import type { Run } from "@berth/core";
import type { Driver, DriverEvent, TaskToRun } from "@berth/plugins";
import type { StepName } from "../domain/steps.ts";
import { isOfThisLife } from "../domain/held-run.ts";
import type { HeldRun } from "../domain/held-run.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { TaskFiles } from "../ports/task-files.ts";
import type { React } from "./draft.ts";
import { onEvents, onHandedOver, onPaused, onTaken } from "./reactor.ts";
import type { Reporter } from "./reporter.ts";
import type { RunTable } from "./run-table.ts";
import type { SpecTable } from "./spec-table.ts";
import { taskToRun } from "./task-to-run.ts";

export interface StepRunnerDeps {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly files: TaskFiles;
  /** Makes the directories of runs, or returns those that were made while the journal was flushed. */
  readonly places: Pick<TaskFiles, "prepare">;
  readonly defaultImage: string;
  readonly table: RunTable;
  readonly specs: SpecTable;
  readonly reporter: Reporter;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly react: React;
  /** The lane in which a run waits; undefined if it has a place of its own. */
  readonly laneOf: (key: string) => string | undefined;
}

/** One function per step, called with all runs that need the step. A step without a function does not compile. */
export type StepRunners = { readonly [Name in StepName]: (keys: readonly string[]) => void };

const againMs = 1_000;

export function makeStepRunners({
  driver,
  clock,
  files,
  places,
  defaultImage,
  table,
  specs,
  reporter,
  logger,
  signal,
  react,
  laneOf,
}: StepRunnerDeps): StepRunners {
  const present = (keys: readonly string[]): HeldRun[] => keys.flatMap((key) => table.get(key) ?? []);

  function start(keys: readonly string[]): void {
    const tasks: TaskToRun[] = [];
    const unable: DriverEvent[] = [];
    const started: { key: string; inLane: boolean }[] = [];
    for (const held of present(keys)) {
      try {
        const spec = held.specId === undefined ? undefined : specs.get(held.specId);
        if (!spec) throw new AppError("internal", "SPEC_LOST", "the journal has no spec for it");
        const lane = laneOf(held.key);
        tasks.push(
          taskToRun({ files, places, defaultImage, isolated: driver.features().has("isolation") }, held, spec, lane),
        );
        started.push({ key: held.key, inLane: lane !== undefined });
      } catch (error) {
        logger.error("a run cannot be prepared", { task: held.run.taskId, error });
        const { reason, message } = AppError.from(error);
        unable.push({ kind: "unable", run: held.run, at: clock.now().at, reason: runRefusal(reason, message) });
      }
    }
    if (unable.length > 0) queueMicrotask(() => react((host, now) => onEvents(host, unable, now)));
    if (tasks.length === 0) return;
    react((host) => onHandedOver(host, started));
    const its = started.map(({ key }) => key);
    driver.runTasks(tasks).then(
      () => react((host) => onTaken(host, its)),
      (error: unknown) => startLater(its, error),
    );
  }

  /** The driver's call failed, so it may have taken none of the runs. Hands them over again after a pause; a driver starts no run twice. */
  function startLater(keys: readonly string[], error: unknown): void {
    if (signal.aborted) return;
    logger.warn("the driver takes no runs; trying again", { error, runs: keys.length });
    setTimeout(() => {
      start(present(keys).flatMap((held) => (isOfThisLife(held) ? held.key : [])));
    }, againMs).unref();
  }

  const send = (signalName: "TERM" | "KILL") => (keys: readonly string[]) => {
    for (const { run } of present(keys))
      driver
        .killTask(run, signalName)
        .catch((error: unknown) => logger.warn("a run could not be signalled", { task: run.taskId, error }));
  };

  const pause = (paused: boolean) => (keys: readonly string[]) => {
    for (const { key, run, frozen } of present(keys)) {
      if (frozen)
        logger.warn("nobody answered for the length of a run's lease: it stands still until somebody does", {
          task: run.taskId,
          attempt: run.attempt,
        });
      (paused ? driver.suspendTask(run) : driver.resumeTask(run)).then(
        () => react((host) => onPaused(host, key, paused)),
        (error: unknown) => {
          logger.warn("a run could not be made to stand still or go on; trying again", { task: run.taskId, error });
          if (!signal.aborted) setTimeout(() => table.actNow([key]), againMs).unref();
        },
      );
    }
  };

  function settle(keys: readonly string[]): void {
    const runs: Run[] = [];
    for (const held of present(keys)) {
      const { specId } = held;
      const last = specId !== undefined && specs.release(specId);
      if (last) files.dropScript(specId);
      table.settle(held, last ? specId : undefined);
      runs.push(held.run);
    }
    // Tell the driver only after the keys are in the journal: if the agent died in between, a driver that names the run again must hear that it is settled.
    table.afterCommit(
      () =>
        void driver
          .settle(runs)
          .catch((error: unknown) => logger.warn("what is left of runs could not be removed", { error })),
    );
  }

  return {
    start,
    term: send("TERM"),
    kill: send("KILL"),
    suspend: pause(true),
    resume: pause(false),
    report: (keys) => present(keys).forEach((held) => reporter.add(held)),
    settle,
  };
}
