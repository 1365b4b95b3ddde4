import type { Reason, RunRefusal, Resources, Run } from "@berth/core";

/**
 * The contract of an executor (GO-Docker's IExecutorPlugin), in our words. A driver runs tasks on one host and tells what became of them.
 * It decides nothing: limits of time, grace, kills and retries are the agent's. All calls may be repeated for the same run.
 */
export interface Driver {
  /** docker, process, sim, or a site's own. */
  getName(): string;
  /** What holds here; valid after open. A request that is not enforced still counts for placement. */
  features(): ReadonlySet<Feature>;
  /** Connects, and finds what runs of an earlier life of the agent are there; they come as events. */
  open(signal: AbortSignal): Promise<void>;
  /** Lets go; what runs runs on. */
  close(): Promise<void>;
  /** What tasks may use on this host. */
  capacity(): Resources;
  /**
   * Starts runs, each on its own: a failing one does not touch the others. Resolves when all are taken over, not when they started; what happens comes
   * from watchTasks. A run that was started before is not started again.
   */
  runTasks(tasks: readonly TaskToRun[]): Promise<void>;
  /** Starts all or none; rejects with AppError if one could not be started, after the others were stopped. */
  runAllTasks(tasks: readonly TaskToRun[]): Promise<void>;
  /**
   * What happens, in batches, from open to close. One reader. The first batch, which may be empty, comes at once and has a `found` for every run that is
   * there from an earlier life of the agent, whether it still runs, has ended or was never started for good; its end follows as an event of its own. A run
   * that is not in that first batch is not there: the agent takes one that ran for lost, and starts one that had not begun.
   */
  watchTasks(signal: AbortSignal): AsyncIterable<readonly DriverEvent[]>;
  /**
   * Sends TERM or KILL to all of a run's processes; a suspended one goes on, so that TERM reaches it. A run that is gone is no error. One that is taken over but
   * not started is not started any more, and is told as `unable` STOPPED_BEFORE_START (or as ended, where it began meanwhile).
   */
  killTask(run: Run, signal: "TERM" | "KILL"): Promise<void>;
  /**
   * Runs that wait in a lane and have not begun are not started: told as `unable` OVER_CAPACITY. One that has begun goes on. Drivers without `lanes` do nothing.
   */
  takeBack(runs: readonly Run[]): Promise<void>;
  /** Stops a run for a while, keeping its memory. */
  suspendTask(run: Run): Promise<void>;
  /** Lets it go on. */
  resumeTask(run: Run): Promise<void>;
  /**
   * Until when these runs may go on without another word, in milliseconds since boot, sleep included; undefined: for ever. Only for a driver whose part that
   * outlives the agent can stop runs by itself: at that time it makes them stand still, and lets go on what it stopped so as soon as the time is put off.
   */
  extendLeases?(leases: readonly { readonly run: Run; readonly untilBootMs: number | undefined }[]): void;
  /** Host port for a container's port; undefined where none is mapped. */
  getMappingPort(run: Run, containerPort: number): Promise<number | undefined>;
  /** What a run uses now; undefined where it cannot be told. */
  usage(run: Run): Promise<RunUsage | undefined>;
  /** Result and output of the run are stored for good: remove what is left of it. */
  settle(runs: readonly Run[]): Promise<void>;
}

/** memory, cpu, pids: limits that hold. memory_watched: a run that is seen above its memory is ended; seen twice a second. identity: runs as the task's user. isolation: a container. suspend, ports: can be done. cpu_time, peak_memory: is measured. lanes: it starts the next run of a lane by itself. */
export type Feature =
  | "memory"
  | "memory_watched"
  | "cpu"
  | "pids"
  | "identity"
  | "isolation"
  | "suspend"
  | "ports"
  | "cpu_time"
  | "peak_memory"
  | "lanes";

/** One run, with everything resolved by the agent. */
export interface TaskToRun {
  readonly run: Run;
  readonly identity: {
    readonly user: string;
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
  };
  /** Container image; ignored by drivers without containers. */
  readonly image: string;
  /** Program and arguments; a script is already a file in controlDir. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path inside the task; undefined: the task's directory. */
  readonly workdir: string | undefined;
  readonly resources: Resources;
  readonly mounts: readonly { readonly source: string; readonly target: string; readonly readOnly: boolean }[];
  readonly network: "none" | "bridge";
  /** As in extendLeases. */
  readonly leaseUntilBootMs?: number | undefined;
  /** The task's directory on this host; exists, and is the task's user's. */
  readonly taskDir: string;
  /** Directory with what the agent made for this run (the script); read-only for the task; undefined where there is nothing. */
  readonly controlDir: string | undefined;
  /** Where output ends up on this host. Drivers whose engine keeps output write it through the LogSink instead. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /**
   * Where the driver has `lanes`: the key of a run that may still be there, or was the first of its lane. Runs of one lane are started in the order in which they were told, each the
   * moment the one before it is over; undefined: at once.
   */
  readonly lane?: string;
}

export interface RunUsage {
  readonly cpuMs: number | undefined;
  readonly peakMemoryBytes: number | undefined;
  /** Processes of the run that the kernel killed because it was at its memory limit; undefined where that is not counted. */
  readonly oomKills?: number | undefined;
}

/** At least so many bytes that a run wrote are lost, of each output. */
export interface LostOutput {
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

/** What happened to a run. Events of one run come in order; one may be told twice. */
export type DriverEvent =
  | { readonly kind: "preparing"; readonly run: Run; readonly detail: string }
  | { readonly kind: "started"; readonly run: Run; readonly at: Date }
  | {
      readonly kind: "ended";
      readonly run: Run;
      readonly startedAt: Date | undefined;
      readonly at: Date;
      readonly exitCode: number | undefined;
      /** Number of the signal that ended it. */
      readonly signal: number | undefined;
      readonly outOfMemory: boolean;
      readonly usage: RunUsage;
      /** All output is in its place or with the LogSink. */
      readonly stdoutBytes: number;
      readonly stderrBytes: number;
      readonly lostOutput?: LostOutput | undefined;
    }
  /** Could not be started by a fault of the task (no such image, command not found): it fails. */
  | { readonly kind: "failed"; readonly run: Run; readonly at: Date; readonly reason: Reason }
  /** Not started here, by a fault of this host or of what its user has there; the reason's code says which. Another host may do it. Nothing of it ran. */
  | { readonly kind: "unable"; readonly run: Run; readonly at: Date; readonly reason: RunRefusal }
  /** It ran, is gone, and nobody saw its end. */
  | {
      readonly kind: "lost";
      readonly run: Run;
      readonly at: Date;
      readonly startedAt: Date | undefined;
      readonly reason: Reason;
      readonly stdoutBytes?: number;
      readonly stderrBytes?: number;
      readonly lostOutput?: LostOutput | undefined;
    }
  /** Found from an earlier life of the agent, still there. */
  | {
      readonly kind: "found";
      readonly run: Run;
      readonly startedAt: Date | undefined;
      readonly suspended: boolean;
      /** It has ended already: its time limit, which may have passed since, was not what ended it. */
      readonly over?: boolean;
      /** It was started with a lease that nobody but the agent keeps. */
      readonly leased?: boolean;
    };

/** Where a driver whose engine keeps output puts it. Appends at an offset; answers how much is stored then, which is more than asked where it was there before. */
export interface LogSink {
  size(run: Run, stream: "stdout" | "stderr"): Promise<number>;
  append(run: Run, stream: "stdout" | "stderr", offset: number, bytes: Uint8Array): Promise<number>;
}
