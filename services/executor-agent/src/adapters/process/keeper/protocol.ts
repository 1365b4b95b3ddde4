/** Version of frames and records. A keeper of another one takes no new runs, is read until it is empty, and ends. */
export const protocolVersion = 3;

/** What a keeper is told of a run. Short names: it is written and read once a task. */
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
  /** Its lane: it is started once what came before it in that lane is over. */
  readonly l?: string;
  /** What a message calls the program, where its path is one that the user never typed. */
  readonly n?: string;
  /** Until when it may go on without a word of the agent, in milliseconds since boot. */
  readonly u?: number;
}

export type RunSignal = "TERM" | "KILL" | "STOP" | "CONT";

export type ToKeeper =
  | { readonly t: "start"; readonly runs: readonly StartRun[] }
  | { readonly t: "signal"; readonly k: string; readonly signal: RunSignal }
  /** Leases put off; without u: for ever. */
  | { readonly t: "extend"; readonly leases: readonly { readonly k: string; readonly u?: number }[] }
  | { readonly t: "settle"; readonly keys: readonly string[] }
  /** Those that have not begun are not started. */
  | { readonly t: "back"; readonly keys: readonly string[] }
  /** Is to be answered at once: it shows that the keeper runs. */
  | { readonly t: "ping" }
  /** Take nothing new, and end as soon as nothing is kept. */
  | { readonly t: "close" };

/** How a process ended, as wait4 says. */
export interface KeptExit {
  readonly at: number;
  readonly code?: number;
  readonly signal?: number;
  readonly cpuMs: number;
  /** Absent where it could not be told from the keeper's own. */
  readonly peakBytes?: number;
  /** How many of its processes the kernel ended for want of memory; absent: none, or not known. */
  readonly oom?: number;
  /** Sizes of the two outputs. */
  readonly out: number;
  readonly err: number;
}

/** A run that could not be started. */
export interface KeptFailure {
  readonly at: number;
  readonly code: string;
  readonly message: string;
  /** A fault of the host, not of the task. */
  readonly host?: true;
}

/** A run as its keeper knows it: begun with k, then pid and times, then x or f. */
export interface KeptRun {
  readonly k: string;
  readonly pid?: number;
  /** When it was started: on the wall clock, and in milliseconds since boot. */
  readonly at?: number;
  readonly boot?: number;
  /** Output files, to tell their sizes where nobody saw the end. */
  readonly o: string;
  readonly r: string;
  readonly x?: KeptExit;
  readonly f?: KeptFailure;
  readonly stopped?: boolean;
  /** Stopped by its keeper, because its lease ended and no agent put it off. */
  readonly frozen?: boolean;
  /** Its memory limit. */
  readonly m: number;
  /** Name of its cgroup, where it has one. */
  readonly g?: string;
}

export type FromKeeper =
  | { readonly t: "welcome"; readonly version: number; readonly pid: number; readonly runs: readonly KeptRun[] }
  | { readonly t: "pong" }
  | { readonly t: "news"; readonly runs: readonly KeptRun[] };

/** Where the cgroups of a keeper's runs are: directories in which each run has one of its own, under one name. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  /** That lists processes, freezes and kills: the freezer's with version 1. */
  readonly main: string;
  /** That limits memory; absent where nothing does. */
  readonly memory?: string;
  /** That counts cpu time. */
  readonly cpu?: string;
  /** Where the keeper itself is: one for each hierarchy. */
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
