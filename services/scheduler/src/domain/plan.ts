import type { Outcome, Reason } from "@berth/core";
import type { Host, PlacedAs } from "./hosts.ts";
import type { TaskRecord } from "./records.ts";

/** One task for one host. */
export interface Placement {
  readonly taskId: string;
  readonly attempt: number;
  readonly host: Host;
  readonly journalId: string;
  readonly as: PlacedAs;
  /** The task, or the array whose element is claimed. */
  readonly record: TaskRecord;
  /** For a claim: the element's index. */
  readonly index: number | undefined;
}

/** The end of a task that can never run. */
export interface End {
  readonly record: TaskRecord;
  readonly outcome: Extract<Outcome, "rejected" | "dependency_failed">;
  readonly reason: Reason;
}

export interface Plan {
  readonly placements: readonly Placement[];
  readonly ends: readonly End[];
  /** A limit was reached, so tasks that were not looked at may fit, too. */
  readonly more: boolean;
}
