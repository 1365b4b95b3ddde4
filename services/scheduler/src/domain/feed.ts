import type { Outcome, Resources, StateKind } from "@berth/core";

/** A task, array or element as the planner reads it from a row of the change feed. */
export interface TaskFacts {
  readonly id: string;
  /** Orders the rows; a row older than the last one of the task is ignored. */
  readonly revision: number;
  readonly user: string;
  readonly project: string;
  readonly state: StateKind;
  readonly attempt: number;
  /** Host of the last attempt; empty before the first. */
  readonly hostId: string;
  /** Code of the state's reason. For a pending task: why its last attempt was refused or lost. */
  readonly reason: string;
  /** Set once it is over. */
  readonly outcome: Outcome | undefined;
  readonly needs: Resources;
  /** Higher first among tasks of the same user. */
  readonly priority: number;
  readonly dependencies: readonly Dependency[];
  readonly createdAtMs: number;
  readonly array: ArrayFacts | undefined;
  /** Hosts where it failed because of the system. */
  readonly avoidHosts: readonly string[];
  /** How long it ran, for a task that is over and has run. */
  readonly ranMs?: number | undefined;
}

export interface Dependency {
  readonly kind: "after" | "afterok";
  readonly taskId: string;
}

/** For an array: its range and how far it is claimed. */
export interface ArrayFacts {
  readonly last: number;
  readonly step: number;
  /** 0: no limit. */
  readonly maxLive: number;
  /** The next index to be claimed. */
  readonly cursor: number;
}

/** A host as the planner reads it from the change feed. */
export interface HostFacts {
  readonly id: string;
  readonly revision: number;
  readonly up: boolean;
  readonly journalId: string;
  readonly capacity: Resources;
  /** The needs of runs that the database does not know. They continue, and count as used. */
  readonly unknownUse: Resources;
  /** Limits and abilities of its driver. */
  readonly features: readonly string[];
}

export type FeedRow =
  | { readonly kind: "task"; readonly task: TaskFacts }
  | { readonly kind: "host"; readonly host: HostFacts };
