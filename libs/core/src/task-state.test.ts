import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTerminal, legacyStatus, move, sources } from "./task-state.ts";
import type { Outcome, TaskEvent, TaskLife } from "./task-state.ts";

const fresh: TaskLife = { state: { kind: "pending", attempt: 0 }, request: undefined };
const reason = { code: "EXIT_CODE", message: "exit code 0" };
const place = (attempt: number, hostId = "a"): TaskEvent => ({ kind: "place", attempt, hostId });
const ended = (attempt: number, outcome: Outcome = "succeeded"): TaskEvent => ({
  kind: "ended",
  attempt,
  outcome,
  reason,
});

/** Applies events in order; those that move nothing leave the task as it is. */
function after(...events: TaskEvent[]): TaskLife {
  return events.reduce((life, event) => {
    const result = move(life, event);
    return result.kind === "moved" ? result.life : life;
  }, fresh);
}

const attempt = fc.integer({ min: 1, max: 4 });
const anyEvent: fc.Arbitrary<TaskEvent> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("place" as const), attempt, hostId: fc.constantFrom("a", "b") }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      outcome: fc.constantFrom("rejected" as const, "dependency_failed" as const),
      reason: fc.constant(reason),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      request: fc.constantFrom("kill" as const, "suspend" as const, "resume" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("started" as const), attempt }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("suspended" as const), attempt }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resumed" as const), attempt }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("ended" as const),
      attempt,
      outcome: fc.constantFrom<Outcome>("succeeded", "failed", "killed", "lost"),
      reason: fc.constant(reason),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refused" as const), attempt }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("lost" as const),
      attempt,
      retry: fc.boolean(),
      reason: fc.constant(reason),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "archive" as const }) },
);

/** What must hold of every move; returns the broken rule. */
function brokenRule(before: TaskLife, event: TaskEvent, result: ReturnType<typeof move>): string | undefined {
  if (result.kind !== "moved") return undefined;
  const now = result.life;
  if (
    isTerminal(before.state.kind) &&
    !(before.state.kind === "over" && now.state.kind === "archived" && event.kind === "archive")
  )
    return "terminal states never change";
  if (before.state.kind === "over" && now.state.kind === "archived" && now.state.outcome !== before.state.outcome)
    return "an outcome never changes";
  if (now.state.attempt < before.state.attempt) return "attempts never go back";
  if (now.state.attempt > before.state.attempt && event.kind !== "place") return "only a placement makes an attempt";
  if (now.state.attempt > before.state.attempt + 1) return "attempts grow by one";
  if (event.kind === "place" && before.request === "kill") return "a task asked to be killed is never placed";
  if (before.request === "kill" && !isTerminal(now.state.kind) && now.request !== "kill")
    return "a kill stays until the end";
  if (isTerminal(now.state.kind) && now.request !== undefined) return "nothing is asked of what is over";
  if ("attempt" in event && event.kind !== "place" && event.attempt !== before.state.attempt)
    return "news of another attempt moves nothing";
  if (event.kind !== "request" && !sources[event.kind].includes(before.state.kind))
    return "moves start from the listed states";
  if (now.state.kind === "running" && before.state.kind === "pending") return "nothing runs that was not placed";
  return undefined;
}

describe("move", () => {
  it("keeps its rules over 10,000 generated lives", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 25 }), (events) => {
        let life = fresh;
        for (const event of events) {
          const result = move(life, event);
          const broken = brokenRule(life, event, result);
          if (broken) throw new Error(`${broken}: ${JSON.stringify({ life, event, result })}`);
          const again = result.kind === "moved" ? move(result.life, event) : result;
          if (again.kind === "moved" && event.kind !== "suspended" && event.kind !== "resumed")
            throw new Error(`twice is not once: ${JSON.stringify({ life, event, again })}`);
          if (result.kind === "moved") life = result.life;
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it("goes the whole way of a task", () => {
    expect(after(place(1), { kind: "started", attempt: 1 }, ended(1)).state).toMatchObject({
      kind: "over",
      attempt: 1,
      outcome: "succeeded",
    });
  });

  it("takes the end of a task whose start was never reported", () => {
    expect(after(place(1), ended(1)).state.kind).toBe("over");
  });

  it("gives a refused task back to the queue, and the next attempt is another", () => {
    const life = after(place(1), { kind: "refused", attempt: 1 });
    expect(life.state).toEqual({ kind: "pending", attempt: 1 });
    expect(move(life, place(1))).toEqual({ kind: "refused", why: "STALE_ATTEMPT" });
    expect(move(life, place(2)).kind).toBe("moved");
  });

  it("ignores late news of an attempt that was followed by another", () => {
    const life = after(place(1), { kind: "refused", attempt: 1 }, place(2, "b"));
    expect(move(life, ended(1, "lost"))).toEqual({ kind: "superseded" });
    expect(move(after(place(1), { kind: "refused", attempt: 1 }), ended(1))).toEqual({ kind: "superseded" });
  });

  it("does not believe in attempts that were never made", () => {
    expect(move(after(place(1)), ended(2))).toEqual({ kind: "refused", why: "UNKNOWN_ATTEMPT" });
  });

  it("takes a repeat of the end, and an earlier phase after it, as known", () => {
    const life = after(place(1), ended(1));
    expect(move(life, ended(1))).toEqual({ kind: "unchanged" });
    expect(move(life, { kind: "started", attempt: 1 })).toEqual({ kind: "unchanged" });
    expect(move(life, ended(1, "failed"))).toEqual({ kind: "unchanged" });
  });

  it("ends a pending task that is killed at once, and keeps the request for a running one", () => {
    expect(after({ kind: "request", request: "kill" }).state).toMatchObject({ kind: "over", outcome: "killed" });
    const running = after(place(1), { kind: "started", attempt: 1 }, { kind: "request", request: "kill" });
    expect(running).toEqual({ state: { kind: "running", attempt: 1, hostId: "a" }, request: "kill" });
    expect(move(running, { kind: "request", request: "suspend" })).toEqual({ kind: "unchanged" });
  });

  it("answers a kill of what is over without changing it", () => {
    expect(move(after(place(1), ended(1)), { kind: "request", request: "kill" })).toEqual({ kind: "unchanged" });
  });

  it("ends a refused task that was asked to be killed", () => {
    expect(after(place(1), { kind: "request", request: "kill" }, { kind: "refused", attempt: 1 }).state).toMatchObject({
      kind: "over",
      outcome: "killed",
    });
  });

  it("gives a lost run up: the task waits again, ends as lost, or as killed where that was asked", () => {
    const lost = (retry: boolean): TaskEvent => ({ kind: "lost", attempt: 1, retry, reason });
    const running = [place(1), { kind: "started", attempt: 1 }] as const;
    expect(after(...running, lost(true)).state).toEqual({ kind: "pending", attempt: 1 });
    expect(after(...running, lost(false)).state).toMatchObject({ kind: "over", outcome: "lost", reason });
    const asked = after(...running, { kind: "request", request: "kill" }, lost(true));
    expect(asked.state).toMatchObject({ kind: "over", outcome: "killed" });
    expect(move(after(...running, lost(true)), lost(true))).toEqual({ kind: "unchanged" });
    expect(move(after(...running, lost(true)), ended(1))).toEqual({ kind: "superseded" });
    expect(move(after(...running, ended(1)), lost(true))).toEqual({ kind: "unchanged" });
  });

  it("never places a task that was asked to be killed, whatever state it waits in", () => {
    expect(move({ state: { kind: "pending", attempt: 1 }, request: "kill" }, place(2))).toEqual({
      kind: "refused",
      why: "KILL_REQUESTED",
    });
  });

  it("suspends and resumes", () => {
    const suspended = after(
      place(1),
      { kind: "started", attempt: 1 },
      { kind: "request", request: "suspend" },
      { kind: "suspended", attempt: 1 },
    );
    expect(suspended).toEqual({ state: { kind: "suspended", attempt: 1, hostId: "a" }, request: undefined });
    expect(move(suspended, { kind: "resumed", attempt: 1 })).toMatchObject({
      kind: "moved",
      life: { state: { kind: "running" } },
    });
  });
});

describe("legacyStatus", () => {
  it("says GO-Docker's words", () => {
    expect(legacyStatus("running", "kill", undefined)).toEqual({ primary: "running", secondary: "kill requested" });
    expect(legacyStatus("suspended", undefined, undefined)).toEqual({ primary: "running", secondary: "suspended" });
    expect(legacyStatus("over", undefined, "rejected")).toEqual({
      primary: "over",
      secondary: "rejected by scheduler",
    });
  });
});
