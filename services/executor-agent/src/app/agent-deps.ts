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
  /** Tells this agent from others that use the same host name; the same again after a restart. */
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
  /** Told of each end, for spans and counters. */
  readonly onEnd: (held: HeldRun, end: End, spec: RunSpec | undefined) => void;
  /** Told of each run that was not taken over, with the reason's code. */
  readonly onRefused?: (code: string) => void;
  /** Brings output where it belongs before its run's end counts: an end whose output is still on its way is left out, and comes through `later`. */
  readonly deliver: (events: readonly DriverEvent[], later: (event: DriverEvent) => void) => readonly DriverEvent[];
}
