import type { Reason } from "@berth/core";
import type { ArrayClaims } from "./array-claims.ts";
import type { Dependency } from "./feed.ts";
import type { Host, PlacedAs } from "./hosts.ts";
import type { Shape } from "./shapes.ts";

/**
 * Where a task is in the planner's memory.
 * queued: in its shape · blocked: waits for other tasks, or never can run and is to be ended · resting: an array (or one of its elements) at its limit ·
 * claimed: an array without unclaimed elements · doubtful: storage knows better, its news is on the way · ending: its end is being committed ·
 * held: its placement is being committed or not yet seen in the feed · placed, running: on a host, as the feed says
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

/** A live task, an array, or a live or waiting element. One object each; the elements that an array has not claimed cost nothing. */
export class TaskRecord {
  readonly id: string;
  readonly number: number;
  /** Index of an element; of others what sorts them behind it. */
  readonly index: number;
  /** Of an element: its array, while that is known. */
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
  /** As what it was placed there. */
  placedAs: PlacedAs | undefined = undefined;
  array: ArrayClaims | undefined = undefined;
  /** What it waits for, by task id; undefined once that is met, which stays so. */
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
