import { blameOf } from "@berth/core";
import type { Outcome, Reason, StateKind, TaskEvent } from "@berth/core";

/** The phase of a run, as its agent reports it. */
export type Phase = "accepted" | "preparing" | "running" | "suspended" | "ended" | "refused";

/** The task event that a reported phase means in that state; undefined if it is no move (the run is still being prepared). */
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

/** Whether the task should avoid the host that refused it. */
export const speaksAgainstHost = (reason: Reason): boolean => blameOf(reason.code) !== "moment";

/**
 * After so many refusals a task is not retried: the task itself is probably the cause. After each refusal the scheduler rests the host, for all users or for that user, up to
 * half a minute; so a cluster of one host is asked for minutes, or for seconds.
 */
export const refusedAtMost = { host: 20, user: 4 } as const;

/** The reason with which a task ends after one more refusal; undefined if it goes back to the queue. `earlier`: reasons of earlier refusals. */
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
