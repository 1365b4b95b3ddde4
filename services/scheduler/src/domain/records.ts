import type { Reason } from "@berth/core";
import type { ArrayClaims } from "./array-claims.ts";
import type { Dependency } from "./feed.ts";
import type { Host, PlacedAs } from "./hosts.ts";
import type { Shape } from "./shapes.ts";

/**
 * The phase of a task in the planner. queued: in its shape · blocked: waits for other tasks, or can never run and will be ended · resting: an array (or its
 * element) at its limit · claimed: an array without unclaimed elements · doubtful: storage refused a decision, and the task's row will follow · ending: its end
 * is being committed · held: its placement is being committed, or not yet in the feed · placed, running: on a host, as the feed says
 */
export type Phase =
  | "new"
  | "queued"
  | "blocked"
  | "resting"
  | "claimed"
  | "doubtful"
  | "ending"
  | "held"
  | "placed"
  | "running";

/** A live task, an array, or a live or waiting element, one object each. Unclaimed elements of an array have none. */
export class TaskRecord {
  readonly id: string;
  readonly number: number;
  /** Index of an element; for others a value that sorts behind all elements. */
  readonly index: number;
  /** For an element: its array, if known. */
  readonly parent: TaskRecord | undefined;
  readonly createdAtMs: number;
  revision = 0;
  attempt = 0;
  phase: Phase = "new";
  shape: Shape;
  /** The shape in whose queue it stands. */
  queuedIn: Shape | undefined = undefined;
  /** Where it is held, placed or running. */
  host: Host | undefined = undefined;
  /** The circumstances of its placement. */
  placedAs: PlacedAs | undefined = undefined;
  array: ArrayClaims | undefined = undefined;
  /** Unmet dependencies, by task id; undefined once all are met, for good. */
  unmet: Map<string, Dependency["kind"]> | undefined = undefined;
  dependenciesSeen = false;
  /** Why it can never run. */
  impossible: Reason | undefined = undefined;

  constructor(
    id: string,
    number: number,
    index: number,
    shape: Shape,
    parent: TaskRecord | undefined,
    createdAtMs: number,
  ) {
    this.id = id;
    this.number = number;
    this.index = index;
    this.shape = shape;
    this.parent = parent;
    this.createdAtMs = createdAtMs;
  }

  get onHost(): boolean {
    return this.phase === "held" || this.phase === "placed" || this.phase === "running";
  }

  /** How many pending tasks it stands for. */
  get pending(): number {
    switch (this.phase) {
      case "queued":
      case "blocked":
      case "resting":
      case "doubtful":
        return this.array ? this.array.unclaimed() : 1;
      default:
        return 0;
    }
  }
}

/** Index of what is no element: behind all elements of the same number. */
export const noIndex = Number.MAX_SAFE_INTEGER;
