import type { Reason, RunRefusal, Resources, Run } from "@berth/core";

/**
 * The contract of an executor (GO-Docker's IExecutorPlugin). A driver runs tasks on one host and reports what happens to them. It decides nothing: the agent
 * applies time limits, grace, kills and retries. Every call may be repeated for the same run.
 */
export interface Driver {
  /** docker, process, sim, or a site's own. */
  getName(): string;
  /**
   * Who writes a run's output: `task`, the default, into stdoutPath and stderrPath, which exist and are its user's; `driver`, through the LogSink; `none`: its runs
   * have neither output nor directories.
   */
  readonly outputBy?: "task" | "driver" | "none";
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
   * Events, in batches, from open to close, for one reader. The first batch comes immediately and may be empty. It has a `found` for every run left from an
   * earlier life of the agent, whether it still runs, has ended or was never started; its end follows as an event of its own. The agent treats a run that is
   * missing there as lost if it had begun, and starts it otherwise.
   */
  watchTasks(signal: AbortSignal): AsyncIterable<readonly DriverEvent[]>;
  /**
   * Sends TERM or KILL to all processes of a run; a suspended run is continued so that TERM reaches it. A missing run is no error. A run that was accepted but
   * not started will not start: it is reported as `unable` STOPPED_BEFORE_START, or as ended if it started in the same moment.
   */
  killTask(run: Run, signal: "TERM" | "KILL"): Promise<void>;
  /** Cancels runs that wait in a lane: each is reported as `unable` OVER_CAPACITY. A run that has begun continues. Drivers without `lanes` do nothing. */
  takeBack(runs: readonly Run[]): Promise<void>;
  /** Stops a run for a while, keeping its memory. */
  suspendTask(run: Run): Promise<void>;
  /** Lets it go on. */
  resumeTask(run: Run): Promise<void>;
  /**
   * Renews the leases of these runs, in milliseconds since boot, sleep included; undefined: no lease. Only for a driver with a part that outlives the agent:
   * that part freezes the runs when the lease ends, and continues them when the lease is renewed.
   */
  extendLeases?(leases: readonly { readonly run: Run; readonly untilBootMs: number | undefined }[]): void;
  /** Host port for a container's port; undefined where none is mapped. */
  getMappingPort(run: Run, containerPort: number): Promise<number | undefined>;
  /** What a run uses now; undefined if it cannot be measured. */
  usage(run: Run): Promise<RunUsage | undefined>;
  /** The result and output of the run are stored: remove what is left of it. */
  settle(runs: readonly Run[]): Promise<void>;
}

/**
 * memory, cpu, pids: the limit is enforced. memory_watched: a run above its memory is killed, checked twice per second. identity: runs as the task's user.
 * isolation: a container. suspend, ports: supported. cpu_time, peak_memory: measured. lanes: the driver starts the next run of a lane without the agent.
 */
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
  /** Directory with the files that the agent made for this run (the script), read-only for the task; undefined if there are none. */
  readonly controlDir: string | undefined;
  /** Where output ends up on this host. Drivers whose engine keeps output write it through the LogSink instead. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /**
   * For a driver with `lanes`: the lane, named by the key of its first run or of one that may still be in it. The driver starts the runs of a lane in the order
   * given, each when the one before it has ended. Undefined: immediately.
   */
  readonly lane?: string;
}

export interface RunUsage {
  readonly cpuMs: number | undefined;
  readonly peakMemoryBytes: number | undefined;
  /** Processes of the run that the kernel killed because it was at its memory limit; undefined where that is not counted. */
  readonly oomKills?: number | undefined;
}

/** How many bytes of each output were lost, at least. */
export interface LostOutput {
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

/** What happened to a run. The events of one run come in order; an event may be repeated. */
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
  /**
   * Not started, because of this host or of something that its user has there; the reason's code says which. Nothing of it ran, and another host may run it.
   */
  | { readonly kind: "unable"; readonly run: Run; readonly at: Date; readonly reason: RunRefusal }
  /** It ran and is gone, and its exit code is unknown. */
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
      /** Its lease is enforced by the agent only, because the driver cannot. */
      readonly leased?: boolean;
    };

/** Where a driver whose engine keeps output puts it. Appends at an offset; answers how much is stored then, which is more than asked where it was there before. */
export interface LogSink {
  size(run: Run, stream: "stdout" | "stderr"): Promise<number>;
  append(run: Run, stream: "stdout" | "stderr", offset: number, bytes: Uint8Array): Promise<number>;
}
