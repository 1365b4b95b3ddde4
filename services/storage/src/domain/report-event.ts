import { blameOf } from "@berth/core";
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

/** Whether the task should rather not come back to the host that refused it. */
export const speaksAgainstHost = (reason: Reason): boolean => blameOf(reason.code) !== "moment";

/**
 * A task that was refused so often is not tried again: rather the task is the cause. Its host rests after each, up to half a minute, for everybody or for that user:
 * one host alone is asked for minutes, or for seconds.
 */
export const refusedAtMost = { host: 20, user: 4 } as const;

/** Why a task ends with one more refusal; undefined: it goes back to the queue. `earlier`: why its earlier attempts were refused. */
export function endOfUnable(reason: Reason, earlier: readonly Reason[]): Reason | undefined {
  const blame = blameOf(reason.code);
  if (blame === "moment") return undefined;
  const refused = earlier.filter(({ code }) => blameOf(code) === blame).length;
  if (refused < refusedAtMost[blame]) return undefined;
  return {
    ...reason,
    message: `${reason.message}; hosts were unable to start it ${refused} times before, and it is not tried again`,
  };
}
