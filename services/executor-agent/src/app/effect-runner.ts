import { leaseEnd } from "../domain/lease.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { Effect, Note } from "./effects.ts";
import type { LiveState } from "./host-state.ts";
import type { PlacesAhead } from "./places-ahead.ts";
import type { Reporter } from "./reporter.ts";
import type { RunTable } from "./run-table.ts";
import type { SpecTable } from "./spec-table.ts";
import type { StartQueue } from "./start-queue.ts";
import type { StepRunners } from "./step-runners.ts";
import type { Syncer } from "./syncer.ts";

export interface EffectRunnerDeps extends Pick<AgentDeps, "driver" | "logger" | "onEnd" | "onRefused"> {
  readonly table: RunTable;
  readonly specs: SpecTable;
  readonly places: PlacesAhead;
  readonly state: LiveState;
  readonly steps: StepRunners;
  readonly startQueue: StartQueue;
  readonly reporter: Reporter;
  readonly syncer: Syncer;
}

/** An effect that nothing here does would not compile. */
type EffectRunners = { readonly [Name in Effect["do"]]: (effect: Extract<Effect, { do: Name }>) => void };

/** Does the reactor's effects, in order. */
export function effectRunner(deps: EffectRunnerDeps): (effects: readonly Effect[]) => void {
  const { driver, logger, table, specs, places, state, steps, startQueue, reporter, syncer } = deps;
  const runners: EffectRunners = {
    save: ({ held, urgency }) => table.change(held, urgency),
    takeOver({ runs, term }) {
      const ids = new Set(runs.flatMap(({ specId }) => specId ?? []));
      for (const { specId } of runs) if (specId !== undefined) specs.hold(specId);
      if (term) state.setTerm(term.epoch, term.term);
      table.add(runs, specs.takeUnsaved(ids), term);
      // The journal is being put on disk. Meanwhile the directories are made of the runs that start once it is; an effect of `add` may have started some already.
      places.make(
        runs.flatMap(({ key, run, specId }) => {
          const owner = specId === undefined ? undefined : specs.get(specId)?.identity;
          return owner && table.get(key)?.phase.kind === "accepted" ? [{ run, owner }] : [];
        }),
      );
    },
    commit: () => table.commit(),
    act: ({ keys }) => table.actNow(keys),
    start: ({ keys }) => startQueue.add(keys),
    term: ({ keys }) => steps.term(keys),
    kill: ({ keys }) => steps.kill(keys),
    suspend: ({ keys }) => steps.suspend(keys),
    resume: ({ keys }) => steps.resume(keys),
    report: ({ keys }) => steps.report(keys),
    settle: ({ keys }) => steps.settle(keys),
    reportNow: ({ key }) => reporter.addNow(key),
    over: ({ held }) => {
      startQueue.onOver(held.key);
      const { phase, specId, run } = held;
      if (phase.kind === "ended") deps.onEnd(held, phase.end, specId === undefined ? undefined : specs.get(specId));
      else if (phase.kind === "refused")
        logger.warn("a run could not be started here", {
          task: run.taskId,
          attempt: run.attempt,
          reason: phase.reason,
        });
    },
    startWaiting: () => startQueue.startSome(),
    takeBack: ({ runs }) => startQueue.takeBack(runs),
    settleAgain: ({ runs }) => void driver.settle(runs).catch(() => {}),
    extendLeases: ({ runs }) =>
      driver.extendLeases?.(runs.map((held) => ({ run: held.run, untilBootMs: leaseEnd(held) }))),
    heard: ({ askedElapsedMs, epoch }) => state.heard(askedElapsedMs, epoch),
    syncWithin: ({ ms }) => syncer.within(ms),
    nextDeadline: ({ elapsedMs }) => void (table.earliestMs = elapsedMs),
    note({ note, run, reason }) {
      const { level, message } = notes[note];
      logger[level](message, {
        task: run.taskId,
        attempt: run.attempt,
        ...(note === "quarantined" ? { epoch: run.epoch } : {}),
        ...(reason === undefined ? {} : { reason }),
      });
    },
    countRefusal: ({ code }) => deps.onRefused?.(code),
  };
  const run = <Name extends Effect["do"]>(effect: Extract<Effect, { do: Name }>, name: Name): void =>
    runners[name](effect);
  return (effects) => {
    for (const effect of effects) run(effect, effect.do);
  };
}

const notes: Readonly<Record<Note, { readonly level: "info" | "warn"; readonly message: string }>> = {
  adopted: { level: "warn", message: "found a run that the journal does not have" },
  toldToStop: { level: "info", message: "told to stop a run" },
  quarantined: { level: "warn", message: "the database does not know a run; it runs on, quarantined" },
  refused: { level: "info", message: "refused a run" },
};
