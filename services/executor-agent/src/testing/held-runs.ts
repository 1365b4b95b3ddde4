import type { Run } from "@berth/core";
import type { HeldRun } from "../domain/held-run.ts";
import { adopted } from "../domain/transitions.ts";
import { nextSteps } from "../domain/steps.ts";
import type { Now } from "../domain/steps.ts";

export const needs = {
  resources: { cpuMilli: 1000, memoryBytes: 1000 },
  timeLimitMs: 5_000,
  graceMs: 1_000,
  leaseMs: 4_000,
};
export const runs: readonly Run[] = [1, 2, 3, 4, 5].map((n) => ({ epoch: "e", taskId: String(n), attempt: 1 }));
export const keyOf = (run: Run): string => `e/${run.taskId}/1`;

/** The tests' moment, on both clocks. */
export const now: Now = { at: new Date(1_000_000), elapsedMs: 1_000_000 };

/** So long after it. */
export const later = (ms: number): Now => ({ at: new Date(now.at.getTime() + ms), elapsedMs: now.elapsedMs + ms });

/** A run that began at that moment. */
export const running = (more: Partial<HeldRun> = {}): HeldRun => ({
  ...adopted("e/1/1", runs[0]!),
  specId: 1,
  needs,
  phase: { kind: "running", startedAt: now.at, startedElapsedMs: now.elapsedMs },
  ...more,
});

/** What is to be done next for it. */
export const stepNames = (held: HeldRun, at = now, can = { suspend: true }): string[] =>
  nextSteps(held, at, can).map(({ name }) => name);
