/** Version of frames and records. A keeper of another version gets no new runs, and ends once the agent has read and settled all of its runs. */
export const protocolVersion = 3;

/** The start message of a run. Names are short, because it is written and read once per task. */
export interface StartRun {
  /** Key of the run. */
  readonly k: string;
  /** Program and arguments. */
  readonly c: readonly string[];
  readonly e: Readonly<Record<string, string>>;
  /** The task's directory, which is made where it is missing. */
  readonly t: string;
  /** Working directory, where it is another. */
  readonly d?: string;
  /** Output files; their directory is made where it is missing. */
  readonly o: string;
  readonly r: string;
  /** The array's directory, made where it is missing. */
  readonly a?: string;
  /** Its memory limit in bytes, kept for the next agent. */
  readonly m: number;
  /** Its lane: the run is started when the run before it in that lane has ended. */
  readonly l?: string;
  /** Name of the program for messages, if the user never typed its path. */
  readonly n?: string;
  /** End of its lease, in milliseconds since boot. */
  readonly u?: number;
}

export type RunSignal = "TERM" | "KILL" | "STOP" | "CONT";

export type ToKeeper =
  | { readonly t: "start"; readonly runs: readonly StartRun[] }
  | { readonly t: "signal"; readonly k: string; readonly signal: RunSignal }
  /** New ends of leases; without u: no lease any more. */
  | { readonly t: "extend"; readonly leases: readonly { readonly k: string; readonly u?: number }[] }
  | { readonly t: "settle"; readonly keys: readonly string[] }
  /** Take back runs that have not begun. */
  | { readonly t: "back"; readonly keys: readonly string[] }
  /** To be answered by a pong at once, which shows that the keeper runs. */
  | { readonly t: "ping" }
  /** Take nothing new, and end as soon as nothing is kept. */
  | { readonly t: "close" };

/** How a process ended, as wait4 says. */
export interface ExitRecord {
  readonly at: number;
  readonly code?: number;
  readonly signal?: number;
  readonly cpuMs: number;
  /** Absent if it is not above the keeper's own maximum, which a child's maximum includes. */
  readonly peakBytes?: number;
  /** How many of its processes the kernel killed at the memory limit; absent: none, or not counted. */
  readonly oom?: number;
  /** Sizes of the two outputs. */
  readonly out: number;
  readonly err: number;
}

/** A run that could not be started. */
export interface FailureRecord {
  readonly at: number;
  readonly code: string;
  readonly message: string;
  /** A fault of the host, not of the task. */
  readonly host?: true;
}

/** A run as its keeper knows it: first with k, then with pid and times, then with x (ended) or f (failed). */
export interface RunRecord {
  readonly k: string;
  readonly pid?: number;
  /** When it was started: on the wall clock, and in milliseconds since boot. */
  readonly at?: number;
  readonly boot?: number;
  /** Output files, so that the agent can report their sizes if the keeper dies. */
  readonly o: string;
  readonly r: string;
  readonly x?: ExitRecord;
  readonly f?: FailureRecord;
  readonly stopped?: boolean;
  /** Frozen by its keeper, because its lease ended. */
  readonly frozen?: boolean;
  /** Its memory limit. */
  readonly m: number;
  /** Name of its cgroup, if it has one. */
  readonly g?: string;
}

export type FromKeeper =
  | { readonly t: "welcome"; readonly version: number; readonly pid: number; readonly runs: readonly RunRecord[] }
  | { readonly t: "pong" }
  | { readonly t: "news"; readonly runs: readonly RunRecord[] };

/** Directories for the cgroups of a keeper's runs. Each run has a directory of the same name in each. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Lists, freezes and kills processes; with version 1 the freezer hierarchy. */
  readonly main: string;
  /** Limits memory; absent if nothing does. */
  readonly memory?: string;
  /** Counts cpu time. */
  readonly cpu?: string;
  /** Cgroups of the keeper itself: one per hierarchy. */
  readonly homes: readonly string[];
}

/** What a keeper is started with. */
export interface KeeperOptions {
  readonly dir: string;
  readonly socket: string;
  readonly cgroups?: CgroupPlace;
  /** As whom its tasks run; absent where it is started as that user already. */
  readonly identity?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
}

/** Number of the system call setresuid, which changes the user of one thread, by architecture. */
export const setresuidNumbers: Readonly<Record<string, number>> = { x64: 117, arm64: 147, riscv64: 147 };

/** Whether a keeper that stays root can start programs as another user. Else it becomes that user, and makes no cgroups. */
export const canStartAsUser = (architecture: string): boolean => setresuidNumbers[architecture] !== undefined;
