import type { Outcome, Reason, Resources, Run } from "@berth/core";

/** What of a run's spec decides about its life on a host. */
export interface Needs {
  readonly resources: Resources;
  /** Wall time after which it is stopped; 0: no limit. */
  readonly timeLimitMs: number;
  /** Time between TERM and KILL. */
  readonly graceMs: number;
  /** How long it may go on without an answer from the control plane; 0: for ever. */
  readonly leaseMs: number;
}

/** When its process started, on the wall clock and on the clock that counts from boot and goes on while the machine sleeps. */
export interface Started {
  readonly startedAt: Date;
  readonly startedElapsedMs: number;
}

/** How a run ended; written once, never changed. */
export interface End {
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date;
  /** How long it ran, by the clock that nobody sets; undefined where it did not, or its start is not known. */
  readonly wallMs?: number | undefined;
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number | undefined;
  /** Sizes of its outputs; undefined where nobody could tell. */
  readonly stdoutBytes: number | undefined;
  readonly stderrBytes: number | undefined;
  /** At least so many bytes that it wrote are lost. */
  readonly lostOutput?: { readonly stdoutBytes: number; readonly stderrBytes: number } | undefined;
  /** Processes of it that the kernel killed at its memory limit; undefined where that is not counted. */
  readonly oomKills?: number | undefined;
}

/** How far a run is on this host. It only moves down this list, but for running ◀▶ suspended. */
export type Phase =
  /** In the journal; not told to the driver in this life of the agent. */
  | { readonly kind: "accepted" }
  /** The driver has it. Kept in memory only: after a restart it is accepted again, and the driver knows whether it began. */
  | { readonly kind: "starting"; readonly detail: string }
  /** The driver has it too, and starts it by itself once the run before it is over. In memory only, as starting is. */
  | { readonly kind: "queued" }
  | ({ readonly kind: "running" } & Started)
  | ({ readonly kind: "suspended" } & Started)
  | { readonly kind: "ended"; readonly end: End }
  /** Never started, by our decision; the task goes back to pending. */
  | { readonly kind: "refused"; readonly reason: Reason; readonly refusedAt: Date };

export type StopCause = "killed" | "superseded" | "over" | "timed_out";

/** A stop that was decided. It is in the journal before a signal is sent. */
export interface Stop {
  readonly cause: StopCause;
  /** Who asked, where somebody did. */
  readonly by: string;
  /** wanted: nothing sent yet. */
  readonly stage: "wanted" | "term" | "kill";
  /** When the last signal was sent, on the elapsed clock. */
  readonly sentElapsedMs: number;
}

/** What the control plane answered to the report of the end; later and silence leave it undefined. */
export type Answer = "committed" | "superseded" | "unknown";

/** One run in this host's journal, until its end is stored for good; after that only its key is remembered. */
export interface HeldRun {
  readonly key: string;
  readonly run: Run;
  /** Its spec in the journal; undefined where it was found by the driver and the journal was lost. */
  readonly specId: number | undefined;
  readonly needs: Needs;
  readonly phase: Phase;
  readonly stop: Stop | undefined;
  /** What the control plane said last, of suspend and resume. */
  readonly wish: "run" | "suspend";
  /** Its lease ended: it stands still until it is renewed. Beside what was asked of suspend and resume. */
  readonly frozen: boolean;
  /** When the question was sent whose answer said last that it is wanted, on the elapsed clock. */
  readonly renewedElapsedMs: number;
  /** It ran before the machine's last boot, so nothing of it runs; the driver may still know how it ended. */
  readonly ofEarlierBoot?: true;
  /** The driver found it ended, and tells its end soon: no limit is to be acted upon meanwhile. */
  readonly endFollows?: true;
  /** False: the database does not know it. It runs on and counts against capacity. */
  readonly known: boolean;
  readonly answer: Answer | undefined;
}

/** Whether it is neither ended nor refused. */
export const isLive = (held: HeldRun): boolean => held.phase.kind !== "ended" && held.phase.kind !== "refused";

/** Whether it takes a place of this host's capacity: one that only waits for its turn does not. */
export const takesPlace = (held: HeldRun): boolean =>
  isLive(held) && held.phase.kind !== "accepted" && held.phase.kind !== "queued";

/** Whether it is in memory only how far it is: after a restart it is accepted again. */
export const isOfThisLife = (held: HeldRun): boolean => held.phase.kind === "starting" || held.phase.kind === "queued";

/** Whether its process is there, as far as known. */
export const hasStarted = (held: HeldRun): boolean => held.phase.kind === "running" || held.phase.kind === "suspended";

export const noNeeds: Needs = {
  resources: { cpuMilli: 0, memoryBytes: 0 },
  timeLimitMs: 0,
  graceMs: 10_000,
  leaseMs: 0,
};
