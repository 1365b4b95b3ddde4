import type { SimPlan } from "@berth/executor-agent/parts";
import type { Resources, Run } from "@berth/core";
import type { DriverEvent } from "@berth/plugins";
import type { VirtualEvent } from "./time.ts";

/** One virtual process of a run: what really happens on the host, whether or not the agent knows. */
export interface Process {
  readonly run: Run;
  readonly resources: Resources;
  readonly plan: SimPlan;
  readonly hostId: string;
  phase: "starting" | "running" | "over";
  /** Told to stand still. */
  paused: boolean;
  /** Stands still because its lease ended; the engine's own doing. */
  frozen: boolean;
  lease: VirtualEvent | undefined;
  /** Started with a lease that only its agent keeps. */
  readonly leased: boolean;
  startedAt: Date | undefined;
  remainingMs: number;
  resumedAtMs: number;
  /** How long it made progress, in milliseconds. */
  progressMs: number;
  timer: VirtualEvent | undefined;
  end: DriverEvent | undefined;
}

/** Whether it makes progress: it is neither suspended nor frozen. */
export const isRunnable = ({ paused, frozen }: Process): boolean => !paused && !frozen;

/** Called synchronously with what happens to processes. */
export interface MachineWatch {
  /** A run is made a process. */
  began(process: Process): void;
  /** A process makes progress from now on. */
  isRunnable(process: Process): void;
  ended(process: Process): void;
  /** Its end can be reported from now on. */
  told(process: Process): void;
}
