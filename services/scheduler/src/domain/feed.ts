import type { Outcome, Resources, StateKind } from "@berth/core";

/** What planning knows of a task, an array or an element, from one row of the change feed. */
export interface TaskFacts {
  readonly id: string;
  /** Orders the rows; an older one than was seen is ignored. */
  readonly revision: number;
  readonly user: string;
  readonly project: string;
  readonly state: StateKind;
  readonly attempt: number;
  /** Host of the last attempt; empty before the first. */
  readonly hostId: string;
  /** Code of why it is as it is; of a pending one that was refused or lost, of that. */
  readonly reason: string;
  /** Set once it is over. */
  readonly outcome: Outcome | undefined;
  readonly needs: Resources;
  /** Higher first among tasks of the same user. */
  readonly priority: number;
  readonly dependencies: readonly Dependency[];
  readonly createdAtMs: number;
  readonly array: ArrayFacts | undefined;
  /** Hosts where it failed by a fault of the system. */
  readonly avoidHosts: readonly string[];
  /** Once it is over, and where it ran: for how long. */
  readonly ranMs?: number | undefined;
}

export interface Dependency {
  readonly kind: "after" | "afterok";
  readonly taskId: string;
}

/** Of an array record: its range and how far it is claimed. */
export interface ArrayFacts {
  readonly last: number;
  readonly step: number;
  /** 0: no limit. */
  readonly maxLive: number;
  /** The next index to be claimed. */
  readonly cursor: number;
}

/** What planning knows of a host. */
export interface HostFacts {
  readonly id: string;
  readonly revision: number;
  readonly up: boolean;
  readonly journalId: string;
  readonly capacity: Resources;
  /** What runs there need that the database does not know; they run on and count. */
  readonly unknownUse: Resources;
  /** Limits and abilities of its driver. */
  readonly features: readonly string[];
}

export type FeedRow =
  | { readonly kind: "task"; readonly task: TaskFacts }
  | { readonly kind: "host"; readonly host: HostFacts };
