import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { later, needs, now, running, runs, stepNames } from "../testing/held-runs.ts";
import type { HeldRun } from "./held-run.ts";
import { onLease } from "./lease.ts";
import { adopted, onRunEvent, onPaused, onSignalled, onTimeLimit, onVerdict } from "./transitions.ts";
import { deadlineOf, nextSteps } from "./steps.ts";
import type { Now } from "./steps.ts";

describe("nextSteps", () => {
  it("leaves a run alone that nobody stopped, known or not", () => {
    expect(stepNames(running())).toEqual([]);
    expect(stepNames(running({ known: false }))).toEqual([]);
    expect(stepNames(onVerdict(running(), { kind: "unknown" }, now.at))).toEqual([]);
    expect(stepNames(onVerdict(running(), { kind: "run" }, now.at), later(86_400_000))).toEqual([]);
  });

  it("sends TERM, and KILL after the grace, again where it had no effect", () => {
    const stopped = onVerdict(running(), { kind: "stop", cause: "killed", by: "ann" }, now.at);
    expect(stepNames(stopped)).toEqual(["term"]);
    const termed = onSignalled(stopped, "term", now);
    expect(stepNames(termed, later(999))).toEqual([]);
    expect(deadlineOf(termed)).toBe(now.elapsedMs + 1_000);
    expect(stepNames(termed, later(1_000))).toEqual(["kill"]);
    const killed = onSignalled(termed, "kill", later(1_000));
    expect(stepNames(killed, later(2_000))).toEqual([]);
    expect(stepNames(killed, later(6_000))).toEqual(["kill"]);
  });

  it("counts the time limit on the clock that cannot be set", () => {
    const set = { at: new Date(0), elapsedMs: now.elapsedMs + 4_999 };
    expect(onTimeLimit(running(), set).stop).toBeUndefined();
    expect(onTimeLimit(running(), { ...set, elapsedMs: now.elapsedMs + 5_000 }).stop).toMatchObject({
      cause: "timed_out",
    });
    expect(onTimeLimit(running({ needs: { ...needs, timeLimitMs: 0 } }), later(1e9)).stop).toBeUndefined();
  });

  it("has something to do at the very moment for which it wants to be woken, however odd the clock's numbers", () => {
    const ms = fc.double({ min: 0.001, max: 1e9, noNaN: true });
    const changed = (held: HeldRun, at: Now): boolean =>
      onLease(onTimeLimit(held, at), at) !== held || stepNames(held, at).length > 0;
    fc.assert(
      fc.property(ms, ms, ms, ms, (began, timeLimitMs, graceMs, leaseMs) => {
        const at = (elapsedMs: number): Now => ({ at: now.at, elapsedMs });
        const phase = { kind: "running", startedAt: now.at, startedElapsedMs: began } as const;
        const limited = running({ needs: { ...needs, timeLimitMs, leaseMs: 0 }, phase });
        const leased = running({ needs: { ...needs, timeLimitMs: 0, leaseMs }, phase, renewedElapsedMs: began });
        const stopped = onVerdict(
          running({ needs: { ...needs, graceMs } }),
          { kind: "stop", cause: "killed", by: "" },
          now.at,
        );
        const [termed, killed] = (["term", "kill"] as const).map((stage) => onSignalled(stopped, stage, at(began)));
        const short = running({ needs: { ...needs, timeLimitMs, leaseMs, graceMs }, phase, renewedElapsedMs: began });
        const late = onSignalled(onTimeLimit(short, at(began + timeLimitMs)), "term", at(began));
        for (const held of [limited, leased, termed!, killed!, late])
          expect(changed(held, at(deadlineOf(held)!))).toBe(true);
      }),
    );
  });

  it("suspends only where the driver can", () => {
    const wished = onVerdict(running(), { kind: "suspend" }, now.at);
    expect(stepNames(wished)).toEqual(["suspend"]);
    expect(stepNames(wished, now, { suspend: false })).toEqual([]);
    expect(stepNames(onVerdict(onPaused(wished, true), { kind: "resume" }, now.at))).toEqual(["resume"]);
  });

  it("gives no grace to a run that was superseded and whose lease it was never told", () => {
    const found = onRunEvent(adopted("k", runs[0]!), { kind: "started", at: now.at }, now);
    const steps = (cause: "killed" | "superseded") =>
      nextSteps(onVerdict(found, { kind: "stop", cause, by: "" }, now.at), now, { suspend: true });
    expect(steps("superseded")).toEqual([{ name: "kill", key: "k" }]);
    expect(steps("killed")).toEqual([{ name: "term", key: "k" }]);
  });
});
