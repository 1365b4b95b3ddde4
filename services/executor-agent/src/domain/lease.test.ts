import { describe, expect, it } from "vitest";
import { later, needs, now, running, stepNames } from "../testing/held-runs.ts";
import { askEveryMs, neverMs, onLease, renewed } from "./lease.ts";
import { onPaused, onSignalled, onTimeLimit, onVerdict } from "./transitions.ts";
import { deadlineOf } from "./steps.ts";
import type { Now } from "./steps.ts";

describe("leases", () => {
  it("freezes a run at the end of its lease, and thaws it with the next answer in time", () => {
    const held = running({ renewedElapsedMs: now.elapsedMs });
    expect(deadlineOf(held)).toBe(now.elapsedMs + 4_000);
    expect(onLease(held, later(3_999))).toBe(held);
    const frozen = onLease(held, later(4_000));
    expect(stepNames(frozen)).toEqual(["suspend"]);
    expect(deadlineOf(frozen)).toBe(now.elapsedMs + 5_000); // the time limit counts on
    const still = onPaused(frozen, true);
    expect(stepNames(still)).toEqual([]);
    // An answer to a question of before counts from the question: too late.
    expect(renewed(still, now.elapsedMs + 500, later(4_600))).toMatchObject({ frozen: true });
    const thawed = renewed(still, now.elapsedMs + 4_500, later(4_600));
    expect(stepNames(thawed)).toEqual(["resume"]);
    expect(deadlineOf(thawed)).toBe(now.elapsedMs + 5_000);
    // A user's suspend is another thing: it stays.
    const suspended = onPaused(onVerdict(held, { kind: "suspend" }, now.at), true);
    const both = onLease(suspended, later(4_000));
    expect(stepNames(renewed(both, now.elapsedMs + 4_500, later(4_600)))).toEqual([]);
  });

  it("freezes nothing without a lease, of an unknown database, or that is told to stop", () => {
    const old = { renewedElapsedMs: neverMs };
    expect(onLease(running({ ...old, needs: { ...needs, leaseMs: 0 } }), now).frozen).toBe(false);
    expect(onLease(running({ ...old, known: false }), now).frozen).toBe(false);
    const stopped = onVerdict(running(old), { kind: "stop", cause: "killed", by: "ann" }, now.at);
    expect(onLease(stopped, now).frozen).toBe(false);
  });

  it("kills a frozen run at once if it may run elsewhere, and after its grace if a user asked for the kill", () => {
    const frozen = onLease(running({ renewedElapsedMs: neverMs }), now);
    expect(stepNames(onVerdict(frozen, { kind: "stop", cause: "superseded", by: "" }, now.at))).toEqual(["kill"]);
    expect(stepNames(onVerdict(frozen, { kind: "stop", cause: "killed", by: "ann" }, now.at))).toEqual(["term"]);
  });

  it("lets none have its grace beyond its lease, but whose end somebody asked for", () => {
    const stopped = (cause: "superseded" | "killed", at: Now) =>
      onVerdict(running(), { kind: "stop", cause, by: "" }, at.at);
    const lease = needs.leaseMs;
    const overdue = later(lease);
    const leased = { renewedElapsedMs: now.elapsedMs };
    const superseded = { ...stopped("superseded", overdue), ...leased };
    expect(stepNames(superseded, later(lease - 1))).toEqual(["term"]);
    expect(stepNames(superseded, overdue)).toEqual(["kill"]);
    const limited = onTimeLimit(
      { ...running(leased), needs: { ...needs, timeLimitMs: lease - 10 } },
      later(lease - 10),
    );
    const termed = onSignalled(limited, "term", later(lease - 10));
    expect([stepNames(termed, later(lease - 1)), stepNames(termed, overdue)]).toEqual([[], ["kill"]]);
    expect(deadlineOf(termed)).toBe(overdue.elapsedMs);
    const killed = onSignalled({ ...stopped("killed", now), ...leased }, "term", later(lease - 10));
    expect([stepNames(killed, overdue), deadlineOf(killed)]).toEqual([[], later(lease - 10 + needs.graceMs).elapsedMs]);
  });

  it("does not start a run whose lease passed on the way, until it is asked about", () => {
    const accepted = onLease(running({ phase: { kind: "accepted" }, renewedElapsedMs: neverMs }), now);
    expect(stepNames(accepted)).toEqual([]);
    expect(stepNames(renewed(accepted, now.elapsedMs, now))).toEqual(["start"]);
  });

  it("freezes at once what becomes known with a lease that has passed", () => {
    const unknown = running({ known: false, renewedElapsedMs: neverMs });
    const wanted = onVerdict(unknown, { kind: "run" }, now.at);
    expect(renewed(wanted, now.elapsedMs - 4_000, now)).toMatchObject({ known: true, frozen: true });
    expect(renewed(wanted, now.elapsedMs - 3_999, now)).toMatchObject({ known: true, frozen: false });
  });

  it("asks three times within the shortest lease", () => {
    expect(askEveryMs([])).toBe(Infinity);
    expect(askEveryMs([running(), running({ needs: { ...needs, leaseMs: 900 } })])).toBe(300);
    expect(askEveryMs([running({ known: false })])).toBe(Infinity);
  });
});
