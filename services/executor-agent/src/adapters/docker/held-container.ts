import type { Run } from "@berth/core";
import type { DriverEvent, RunUsage, TaskToRun } from "@berth/plugins";
import type { RunOutput } from "./run-output.ts";

/**
 * A run that this driver has. waiting: for its turn or its image. starting: being created and started. created: found so, from an earlier life; nothing runs.
 * running: until its end was told. over: only waits to be removed.
 */
export interface HeldContainer {
  readonly run: Run;
  readonly key: string;
  phase: "waiting" | "starting" | "created" | "running" | "over";
  /** Known for what this life starts. */
  task: TaskToRun | undefined;
  containerId: string | undefined;
  startedAt: Date | undefined;
  startTold: boolean;
  paused: boolean;
  /** The last signal that was asked for; before the start it means: do not. */
  killed: "TERM" | "KILL" | undefined;
  /** Processes of it that the kernel killed at its memory limit, as far as is known while it runs. */
  oomKills: number;
  /** Of the last sample, where the end has none. */
  sampled: RunUsage | undefined;
  output: RunOutput | undefined;
  /** Somebody looks into its end at this moment. */
  ending: boolean;
  /** Meanwhile there was another sign of it, which may be newer than what is being looked at. */
  lookAgain: boolean;
  /** When its start is decided: the event that tells how. */
  readonly begun: PromiseWithResolvers<DriverEvent>;
}

export const holdContainer = (
  run: Run,
  key: string,
  phase: HeldContainer["phase"],
  task?: TaskToRun,
): HeldContainer => ({
  run,
  key,
  phase,
  task,
  containerId: undefined,
  startedAt: undefined,
  startTold: false,
  paused: false,
  killed: undefined,
  oomKills: 0,
  sampled: undefined,
  output: undefined,
  ending: false,
  lookAgain: false,
  begun: Promise.withResolvers<DriverEvent>(),
});
