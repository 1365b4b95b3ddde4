import type { Outcome, Reason, Resources, Run } from "@berth/core";

/** The parts of a run's spec that decide about its life on a host. */
export interface Needs {
  readonly resources: Resources;
  /** Time limit in wall time; 0: none. */
  readonly timeLimitMs: number;
  /** Time between TERM and KILL. */
  readonly graceMs: number;
  /** How long it may run without an answer from the server before the agent freezes it; 0: for ever. */
  readonly leaseMs: number;
}

/** When its process started, on the wall clock and on the elapsed clock, which counts from boot and includes sleep. */
export interface Started {
  readonly startedAt: Date;
  readonly startedElapsedMs: number;
}

/** How a run ended. Never changes. */
export interface End {
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date;
  /** How long it ran, on the elapsed clock; undefined if it did not run or its start is unknown. */
  readonly wallMs?: number | undefined;
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number | undefined;
  /** Sizes of its outputs; undefined if unknown. */
  readonly stdoutBytes: number | undefined;
  readonly stderrBytes: number | undefined;
  /** Least number of bytes that it wrote and that are lost. */
  readonly lostOutput?: { readonly stdoutBytes: number; readonly stderrBytes: number } | undefined;
  /** How many of its processes the kernel killed at its memory limit; undefined if the driver does not count them. */
  readonly oomKills?: number | undefined;
}

/** How far a run is on this host. It only moves down this list; only running and suspended alternate. */
export type Phase =
  /** In the journal. This agent process has not handed it to the driver. */
  | { readonly kind: "accepted" }
  /** The driver has it. In memory only: after a restart the run is accepted again, and the driver knows whether it began. */
  | { readonly kind: "starting"; readonly detail: string }
  /** The driver has it in a lane, and starts it when the run before it ends. In memory only, as starting is. */
  | { readonly kind: "queued" }
  | ({ readonly kind: "running" } & Started)
  | ({ readonly kind: "suspended" } & Started)
  | { readonly kind: "ended"; readonly end: End }
  /** Not started. The task goes back to pending. */
  | { readonly kind: "refused"; readonly reason: Reason; readonly refusedAt: Date };

export type StopCause = "killed" | "superseded" | "over" | "timed_out";

/** A decision to stop a run. The journal has it before the agent sends a signal. */
export interface Stop {
  readonly cause: StopCause;
  /** The user who asked; empty if none did. */
  readonly by: string;
  /** wanted: no signal was sent yet. */
  readonly stage: "wanted" | "term" | "kill";
  /** When the last signal was sent, on the elapsed clock. */
  readonly sentElapsedMs: number;
}

/** The server's answer to the report of the end. Undefined after `later` or no answer. */
export type Answer = "committed" | "superseded" | "unknown";

/** One run in this host's journal. Once the server has stored its end, the journal keeps only its key. */
export interface HeldRun {
  readonly key: string;
  readonly run: Run;
  /** Its spec in the journal; undefined if the driver found the run and the journal was lost. */
  readonly specId: number | undefined;
  readonly needs: Needs;
  readonly phase: Phase;
  readonly stop: Stop | undefined;
  /** The last verdict of suspend and resume. */
  readonly wish: "run" | "suspend";
  /** Its lease ended, so it stays suspended until the server renews the lease. Independent of `wish`. */
  readonly frozen: boolean;
  /** When the sync was sent whose answer last renewed its lease, on the elapsed clock. */
  readonly renewedElapsedMs: number;
  /** It ran before the machine's last boot, so it runs no more. The driver may still know how it ended. */
  readonly ofEarlierBoot?: true;
  /** The driver found it ended and reports the end soon. Its time limit must not be enforced meanwhile. */
  readonly endFollows?: true;
  /** False for an unknown run: it continues, and counts against capacity. */
  readonly known: boolean;
  readonly answer: Answer | undefined;
}

/** Whether it is neither ended nor refused. */
export const isLive = (held: HeldRun): boolean => held.phase.kind !== "ended" && held.phase.kind !== "refused";

/** Whether it uses capacity of this host. A run that only waits does not. */
export const takesPlace = (held: HeldRun): boolean =>
  isLive(held) && held.phase.kind !== "accepted" && held.phase.kind !== "queued";

/** Whether its phase is in memory only. After a restart it is accepted again. */
export const isOfThisLife = (held: HeldRun): boolean => held.phase.kind === "starting" || held.phase.kind === "queued";

/** Whether its process started and, as far as the agent knows, is still there. */
export const hasStarted = (held: HeldRun): boolean => held.phase.kind === "running" || held.phase.kind === "suspended";

export const noNeeds: Needs = {
  resources: { cpuMilli: 0, memoryBytes: 0 },
  timeLimitMs: 0,
  graceMs: 10_000,
  leaseMs: 0,
};
