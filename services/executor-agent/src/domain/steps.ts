import { unreachable } from "@berth/core";
import { isLive } from "./held-run.ts";
import type { HeldRun, Stop } from "./held-run.ts";
import { isToStand, leaseEnd } from "./lease.ts";

/** The least that a host can do next for a run. Each is safe to do twice. */
export interface StepArgs {
  /** Hand it to the driver. */
  start: { readonly key: string };
  /** Ask it to end. */
  term: { readonly key: string };
  /** End it. */
  kill: { readonly key: string };
  suspend: { readonly key: string };
  resume: { readonly key: string };
  /** Tell the control plane how it ended, until that is answered. */
  report: { readonly key: string };
  /** Its end is stored for good: remember only its key, and let the driver remove what is left. */
  settle: { readonly key: string };
}

export type StepName = keyof StepArgs;
export type Step = { [Name in StepName]: { readonly name: Name } & StepArgs[Name] }[StepName];

/** The two clocks: the wall's, and the one that counts from boot, sleep included. */
export interface Now {
  readonly at: Date;
  readonly elapsedMs: number;
}

/** How long after a KILL without effect the next one is sent. */
const killAgainMs = 5_000;

/**
 * What to do next for a run. Empty where there is nothing to do, or something is under way.
 *
 * Only a stop that was decided (by a verdict or the time limit, in the journal) leads to `term` and `kill`; being absent from a list, being unknown to the
 * database or an outage lead to nothing.
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
  // TERM would let it go on for its grace, and its task may run elsewhere by now. The same of one that was found: nobody told us of its lease, at whose end its
  // driver may have frozen it.
  const mayStand = frozen || specId === undefined || graceEnd(held, stop) <= now.elapsedMs;
  if (stop.stage === "wanted") return [{ name: mayStand && stop.cause !== "killed" ? "kill" : "term", key }];
  return signalEnd(held, stop) <= now.elapsedMs ? [{ name: "kill", key }] : [];
}

/** When the signal that was sent has had its time. */
const signalEnd = (held: HeldRun, stop: Stop): number =>
  stop.stage === "term"
    ? Math.min(stop.sentElapsedMs + held.needs.graceMs, graceEnd(held, stop))
    : stop.sentElapsedMs + killAgainMs;

/** No run has its grace beyond its lease: its task may run elsewhere then. But one that somebody killed, which is not tried again, and has its clean end. */
const graceEnd = (held: HeldRun, stop: Stop): number =>
  stop.cause === "killed" ? Infinity : (leaseEnd(held) ?? Infinity);

/** When a run's time limit is reached, on the elapsed clock; Infinity: it has none, or has not begun. */
export const limitEnd = ({ phase, needs, endFollows }: HeldRun): number =>
  (phase.kind === "running" || phase.kind === "suspended") && needs.timeLimitMs > 0 && !endFollows
    ? phase.startedElapsedMs + needs.timeLimitMs
    : Infinity;

/**
 * When this run next needs a look though nothing happens, on the elapsed clock; undefined: never. By the very sums by which it is acted upon: a fraction of a
 * nanosecond between them, and a run that was looked at in time would be due no more.
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
