import { describe, expect, it } from "vitest";
import { now, running } from "../testing/held-runs.ts";
import type { HeldRun } from "./held-run.ts";
import { onRunEvent, onTimeLimit } from "./transitions.ts";
import { limitEnd } from "./steps.ts";

describe("what an end means", () => {
  it("measures a run by the clock that nobody sets, and ends none before its start", () => {
    const ended = (wallMs: number, elapsedMs: number, startedAt?: Date) => {
      const at = new Date(now.at.getTime() + wallMs);
      const exit = {
        startedAt,
        endedAt: at,
        exitCode: 0,
        signal: undefined,
        outOfMemory: false,
        cpuMs: 1,
        peakMemoryBytes: 1,
        stdoutBytes: 0,
        stderrBytes: 0,
      };
      const then = { at, elapsedMs: now.elapsedMs + elapsedMs };
      const { phase } = onRunEvent(running(), { kind: "ended", exit }, then);
      return phase.kind === "ended" ? [phase.end.wallMs, phase.end.endedAt.getTime() - now.at.getTime()] : [];
    };
    expect(ended(2_000, 2_000)).toEqual([2_000, 2_000]);
    expect(ended(3_602_000, 2_000)).toEqual([2_000, 3_602_000]); // set forward by an hour
    expect(ended(-3_598_000, 2_000)).toEqual([2_000, 2_000]); // and back
    expect(ended(2_000, 2_000, new Date(now.at.getTime() + 1_500))).toEqual([2_000, 2_000]);
    // The agent heard of the start 40 ms after the engine's own time of it; an hour is a clock that was set.
    expect(ended(300, 300, new Date(now.at.getTime() - 40))).toEqual([340, 300]);
    expect(ended(300, 300, new Date(now.at.getTime() - 3_600_000))).toEqual([300, 300]);
    // Told together with its start, and late: the times are the driver's.
    const late = { at: new Date(now.at.getTime() + 60_000), elapsedMs: now.elapsedMs + 60_000 };
    const { phase } = onRunEvent(
      running(),
      { kind: "lost", at: new Date(now.at.getTime() + 700), startedAt: undefined, reason: { code: "X", message: "" } },
      late,
    );
    expect(phase).toMatchObject({ end: { wallMs: 700 } });
  });

  it("does not take for timed out what the driver found ended, though its limit has passed since", () => {
    const needs = { ...running().needs, timeLimitMs: 3_600_000 };
    const later = { at: new Date(now.at.getTime() + 7_200_000), elapsedMs: now.elapsedMs + 7_200_000 };
    const found = (over: boolean) =>
      onTimeLimit(
        onRunEvent(running({ needs }), { kind: "found", startedAt: now.at, suspended: false, over }, later),
        later,
      );
    expect(found(true).stop).toBeUndefined();
    expect(found(false).stop).toMatchObject({ cause: "timed_out" });
    expect(limitEnd(found(true))).toBe(Infinity);
  });

  it("says what an end means", () => {
    const exit = {
      startedAt: undefined,
      endedAt: now.at,
      exitCode: 0,
      signal: undefined,
      outOfMemory: false,
      cpuMs: undefined,
      peakMemoryBytes: undefined,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
    const end = (held: HeldRun, more: object = {}) => {
      const { phase } = onRunEvent(held, { kind: "ended", exit: { ...exit, ...more } }, now);
      return phase.kind === "ended" ? [phase.end.outcome, phase.end.reason.code, phase.end.startedAt] : [];
    };
    const stop = (cause: "killed" | "superseded" | "timed_out", stage: "wanted" | "term" = "term") =>
      running({ stop: { cause, by: "ann", stage, sentElapsedMs: 0 } });
    expect(end(running())).toEqual(["succeeded", "EXIT_CODE", now.at]);
    expect(end(running(), { exitCode: 3 })).toEqual(["failed", "EXIT_CODE", now.at]);
    expect(end(running(), { exitCode: undefined, signal: 11 })).toEqual(["failed", "SIGNAL", now.at]);
    expect(end(running(), { exitCode: undefined, signal: 9, outOfMemory: true })).toEqual([
      "out_of_memory",
      "OUT_OF_MEMORY",
      now.at,
    ]);
    expect(end(stop("killed"))).toEqual(["killed", "KILLED_BY_USER", now.at]);
    expect(end(stop("timed_out"), { exitCode: 143 })).toEqual(["timed_out", "TIME_LIMIT", now.at]);
    // It ended by itself before anything was sent; and what was superseded has no outcome of ours.
    expect(end(stop("killed", "wanted"))).toEqual(["succeeded", "EXIT_CODE", now.at]);
    expect(end(stop("superseded"), { exitCode: undefined, signal: 15 })).toEqual(["failed", "SIGNAL", now.at]);
  });
});
