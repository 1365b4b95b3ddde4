import type { Outcome, Reason, StateKind, TaskEvent } from "@berth/core";

/** How far an agent says that a run is. */
export type Phase = "accepted" | "preparing" | "running" | "suspended" | "ended" | "refused";

/** What an agent's word means for a task in that state; undefined where it is no move: the run is merely on its way. */
export function eventOf(
  phase: Phase,
  state: StateKind,
  attempt: number,
  outcome: Outcome,
  reason: Reason,
): TaskEvent | undefined {
  switch (phase) {
    case "accepted":
    case "preparing":
      return undefined;
    case "running":
      return { kind: state === "suspended" ? "resumed" : "started", attempt };
    case "suspended":
      return { kind: "suspended", attempt };
    case "ended":
      return { kind: "ended", attempt, outcome, reason };
    case "refused":
      return { kind: "refused", attempt };
  }
}

/**
 * Whether a refusal speaks against the host as such. These do not: they are news of the moment (it is full just now, its
 * leader or its journal is another one than thought), and the next placement there may be right.
 */
const passing: ReadonlySet<string> = new Set([
  "STALE_TERM",
  "OTHER_JOURNAL",
  "OVER_CAPACITY",
  "NEVER_STARTED",
  "STOPPED_BEFORE_START",
]);

/** Whether the task should rather not come back to the host that refused it. */
export const speaksAgainstHost = (reason: Reason): boolean => !passing.has(reason.code);

/** A task that hosts were unable to start so often is not tried again: rather the task is the cause. Each of them rests up to half a minute after it, so one host alone is asked for minutes. */
export const unableAtMost = 20;

/** Why a task ends with one more refusal that speaks against its host; undefined: it goes back to the queue. */
export function endOfUnable(reason: Reason, earlier: readonly Reason[]): Reason | undefined {
  if (!speaksAgainstHost(reason)) return undefined;
  const unable = earlier.filter(speaksAgainstHost).length;
  if (unable < unableAtMost) return undefined;
  return {
    ...reason,
    message: `${reason.message}; hosts were unable to start it ${unable} times before, and it is not tried again`,
  };
}
