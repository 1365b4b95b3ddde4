import { unreachable } from "@berth/core";
import { isLive } from "./held-run.ts";
import type { HeldRun, Stop } from "./held-run.ts";
import { isToStand, leaseEnd } from "./lease.ts";

/** The smallest actions for a run. Each is safe to repeat. */
export interface StepArgs {
  /** Hand the run to the driver. */
  start: { readonly key: string };
  /** Send SIGTERM. */
  term: { readonly key: string };
  /** Send SIGKILL. */
  kill: { readonly key: string };
  suspend: { readonly key: string };
  resume: { readonly key: string };
  /** Report how it ended, until the server answers. */
  report: { readonly key: string };
  /** The server has stored its end: keep only its key, and have the driver clean up. */
  settle: { readonly key: string };
}

export type StepName = keyof StepArgs;
export type Step = { [Name in StepName]: { readonly name: Name } & StepArgs[Name] }[StepName];

/** The wall clock, and the elapsed clock, which counts from boot and includes sleep. */
export interface Now {
  readonly at: Date;
  readonly elapsedMs: number;
}

/** Time between a KILL without effect and the next one. */
const killAgainMs = 5_000;

/**
 * What to do next for a run. Empty if there is nothing to do or a step is in progress.
 *
 * Only a stop in the journal, decided by a verdict or the time limit, leads to `term` and `kill`. A run that a list does not name, an unknown run or an outage
 * lead to none.
 */
export function nextSteps(held: HeldRun, now: Now, can: { readonly suspend: boolean }): Step[] {
  const { key, phase, stop } = held;
  switch (phase.kind) {
    case "refused":
    case "ended":
      if (held.answer === undefined) return [{ name: "report", key }];
      return held.answer === "unknown" ? [] : [{ name: "settle", key }];
    case "accepted":
      return held.frozen ? [] : [{ name: "start", key }];
    case "starting":
    case "queued":
    case "running":
    case "suspended":
      if (stop) return stopSteps(held, now);
      if (phase.kind === "running" && isToStand(held) && can.suspend) return [{ name: "suspend", key }];
      if (phase.kind === "suspended" && !isToStand(held)) return [{ name: "resume", key }];
      return [];
    default:
      return unreachable(phase);
  }
}

function stopSteps(held: HeldRun, now: Now): Step[] {
  const { key, stop, frozen, specId } = held;
  if (!stop) return [];
  // Send KILL at once if the task may already run elsewhere, because TERM would let the run continue for its grace. That is possible for a frozen run, and for a found
  // one, whose lease the agent does not know.
  const mayStand = frozen || specId === undefined || graceEnd(held, stop) <= now.elapsedMs;
  if (stop.stage === "wanted") return [{ name: mayStand && stop.cause !== "killed" ? "kill" : "term", key }];
  return signalEnd(held, stop) <= now.elapsedMs ? [{ name: "kill", key }] : [];
}

/** When the next signal may be sent. */
const signalEnd = (held: HeldRun, stop: Stop): number =>
  stop.stage === "term"
    ? Math.min(stop.sentElapsedMs + held.needs.graceMs, graceEnd(held, stop))
    : stop.sentElapsedMs + killAgainMs;

/** A grace ends with the lease, because the task may run elsewhere after it. A task that a user killed is not tried again, so its grace is not cut. */
const graceEnd = (held: HeldRun, stop: Stop): number =>
  stop.cause === "killed" ? Infinity : (leaseEnd(held) ?? Infinity);

/** When a run's time limit ends, on the elapsed clock; Infinity if it has none or has not begun. */
export const limitEnd = ({ phase, needs, endFollows }: HeldRun): number =>
  (phase.kind === "running" || phase.kind === "suspended") && needs.timeLimitMs > 0 && !endFollows
    ? phase.startedElapsedMs + needs.timeLimitMs
    : Infinity;

/**
 * When the run's next deadline is, on the elapsed clock; undefined if it has none. Must use the same floating-point sums as `onTimeLimit` and `onLease`: with
 * different rounding, a run woken on time would look not yet due and never be woken again.
 */
export function deadlineOf(held: HeldRun): number | undefined {
  if (!isLive(held)) return undefined;
  if (held.stop) {
    if (held.phase.kind === "accepted") return undefined;
    return held.stop.stage === "wanted" ? 0 : signalEnd(held, held.stop);
  }
  const freezeAt = held.frozen ? Infinity : (leaseEnd(held) ?? Infinity);
  const at = Math.min(freezeAt, limitEnd(held));
  return at === Infinity ? undefined : at;
}
