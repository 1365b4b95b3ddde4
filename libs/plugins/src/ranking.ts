import type { Resources } from "@berth/core";

/** The first task of a shape (the tasks of one user and project with the same needs). The policy decides whose turn it is. */
export interface RankedTask {
  readonly taskId: string;
  /** Grows with each submit. */
  readonly number: number;
  readonly user: string;
  readonly project: string;
  /** Already applied among the tasks of one user. */
  readonly priority: number;
  readonly needs: Resources;
  readonly submittedAtMs: number;
}

/** Where a policy may say what it does. */
export interface PluginLogger {
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
}

/**
 * The contract of a ranking policy (GO-Docker's ISchedulerPlugin), in our words. It is synchronous: it is asked while a cycle is planned.
 * Everything thrown ends that cycle, not the scheduler.
 */
export interface RankingPolicy {
  /** fifo, or a site's own. */
  getName(): string;
  /** The site's settings for this policy; throws AppError `invalid` naming the setting. Called once, before the first schedule. */
  setConfig(config: Readonly<Record<string, unknown>>): void;
  setLogger(logger: PluginLogger): void;
  /** The tasks in the order in which they get their turn; one left out gets none. Never more than one task of a shape is in the list. */
  schedule(tasks: readonly RankedTask[], nowMs: number): readonly RankedTask[];
  /**
   * The same order as a comparison, for a policy whose order does not depend on placements: heads are then merged in O(log shapes) per placement. Undefined:
   * `schedule` is called again after each head has had one turn, which is fast enough up to some thousand shapes.
   */
  readonly order: ((a: RankedTask, b: RankedTask) => number) | undefined;
}
