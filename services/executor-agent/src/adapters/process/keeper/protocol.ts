/** Version of frames and records. A keeper of another one takes no new runs, is read until it is empty, and ends. */
export const protocolVersion = 2;

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
}

export type FromKeeper =
  | { readonly t: "welcome"; readonly version: number; readonly pid: number; readonly runs: readonly KeptRun[] }
  | { readonly t: "news"; readonly runs: readonly KeptRun[] };

/** What a keeper is started with. */
export interface KeeperOptions {
  readonly dir: string;
  readonly socket: string;
  /** As whom its tasks run; absent where it is started as that user already. */
  readonly identity?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
}
