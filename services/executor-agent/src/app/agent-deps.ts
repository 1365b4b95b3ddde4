import type { RunSpec } from "@berth/contracts/types";
import type { Driver, DriverEvent } from "@berth/plugins";
import type { End, HeldRun } from "../domain/held-run.ts";
import type { Clock } from "../ports/clock.ts";
import type { ControlPlane } from "../ports/control-plane.ts";
import type { Journal } from "../ports/journal.ts";
import type { Logger } from "../ports/logger.ts";
import type { TaskFiles } from "../ports/task-files.ts";

/** All that an agent needs of the world. */
export interface AgentDeps {
  readonly hostId: string;
  /** Distinguishes this agent from others that use the same host name. Does not change when the agent restarts. */
  readonly agentId: string;
  readonly version: string;
  readonly driver: Driver;
  readonly journal: Journal;
  readonly control: ControlPlane;
  readonly files: TaskFiles;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly defaultImage: string;
  /** Called for each run that ended, for spans and counters. */
  readonly onEnd: (held: HeldRun, end: End, spec: RunSpec | undefined) => void;
  /** Called for each run that the agent refused, with the code of the reason. */
  readonly onRefused?: (code: string) => void;
  /** Uploads a run's output before its end is acted on. Returns the events that need no upload; an end whose output is still being uploaded comes through `later`. */
  readonly deliver: (events: readonly DriverEvent[], later: (event: DriverEvent) => void) => readonly DriverEvent[];
}
