import type { Run } from "@berth/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RunView } from "./run-view.ts";
import type { TaskFacts } from "./run-view.ts";
import { judge, verdictOn } from "./verdicts.ts";
import type { Judgement, Verdict } from "./verdicts.ts";

let revision = 0;
const aTask = (id: string, facts: Partial<TaskFacts> = {}): TaskFacts => ({
  id,
  revision: ++revision,
  state: "running",
  attempt: 1,
  hostId: "h1",
  journalId: "j1",
  request: undefined,
  requestBy: "",
  isArray: false,
  ...facts,
});
const viewOf = (...tasks: TaskFacts[]): RunView => {
  const view = new RunView();
  for (const task of tasks) view.apply({ kind: "task", task }, 0);
  return view;
};
const run = (taskId: string, attempt = 1, epoch = "e1"): Run => ({ epoch, taskId, attempt });
const judged = (view: RunView, runs: readonly Run[], journalId = "j1"): Judgement =>
  judge(view, "e1", { hostId: "h1", journalId, runs });
const stop = (cause: "killed" | "superseded" | "over", by = ""): Verdict => ({ kind: "stop", cause, by });

describe("judge", () => {
  it("wants what the feed says is there", () => {
    expect(judged(viewOf(aTask("1")), [run("1")])).toEqual({
      verdicts: [{ run: run("1"), verdict: { kind: "run" } }],
      ask: [],
      missing: [],
      lost: [],
    });
  });

  it("stops what was asked to be killed, by itself or with its array, and says by whom", () => {
    const view = viewOf(
      aTask("1", { request: "kill", requestBy: "ada" }),
      aTask("7", { isArray: true, request: "kill", requestBy: "root" }),
      aTask("7.3", { request: "suspend", requestBy: "ada" }),
    );
    expect(judged(view, [run("1"), run("7.3")]).verdicts.map(({ verdict }) => verdict)).toEqual([
      stop("killed", "ada"),
      stop("killed", "root"),
    ]);
  });

  it("stops what is followed by a later attempt", () => {
    expect(judged(viewOf(aTask("1", { attempt: 2 })), [run("1", 1)]).verdicts).toEqual([
      { run: run("1", 1), verdict: stop("superseded") },
    ]);
  });

  it("asks storage about everything else: gone from view, of another database, ahead of the view, or on another host", () => {
    const view = viewOf(aTask("1"), aTask("2"), aTask("3", { hostId: "h2" }));
    const listed = [run("404"), run("1", 1, "e0"), run("2", 2), run("3")];
    expect(judged(view, listed)).toMatchObject({ verdicts: [], ask: listed });
  });

  it("suspends and resumes, and leaves a suspended run alone of which nothing is asked", () => {
    const view = viewOf(
      aTask("1", { request: "suspend" }),
      aTask("2", { state: "suspended", request: "resume" }),
      aTask("3", { state: "suspended" }),
    );
    expect(judged(view, [run("1"), run("2"), run("3")]).verdicts.map(({ verdict }) => verdict.kind)).toEqual([
      "suspend",
      "resume",
      "run",
    ]);
  });

  it("offers what was placed there for this journal and is not listed; not what runs already", () => {
    const view = viewOf(aTask("1", { state: "placed" }), aTask("2"), aTask("3", { state: "placed", hostId: "h2" }));
    expect(judged(view, [])).toEqual({ verdicts: [], ask: [], missing: [run("1")], lost: [] });
  });

  it("says stop, and offers nothing, where a placed run was killed before anybody had it", () => {
    expect(judged(viewOf(aTask("1", { state: "placed", request: "kill", requestBy: "ada" })), [])).toMatchObject({
      verdicts: [{ run: run("1"), verdict: stop("killed", "ada") }],
      missing: [],
    });
  });

  it("gives up what was placed for another journal, unless it was found", () => {
    const view = viewOf(aTask("1", { state: "placed" }), aTask("2"), aTask("3"));
    expect(judged(view, [run("3")], "j2")).toMatchObject({
      missing: [],
      lost: [run("1"), run("2")],
      verdicts: [{ run: run("3"), verdict: { kind: "run" } }],
    });
  });

  it("stops a run only for a kill, a later attempt or storage's answer; never for absence, lag or another database", () => {
    const facts = fc.record({
      id: fc.constantFrom("1", "2", "7.1", "7.2"),
      state: fc.constantFrom(
        "pending" as const,
        "placed" as const,
        "running" as const,
        "suspended" as const,
        "over" as const,
      ),
      attempt: fc.integer({ min: 1, max: 3 }),
      hostId: fc.constantFrom("h1", "h2"),
      request: fc.constantFrom(undefined, undefined, "kill" as const, "suspend" as const, "resume" as const),
    });
    const listed = fc.record({
      taskId: fc.constantFrom("1", "2", "7.1", "7.2", "9"),
      attempt: fc.integer({ min: 1, max: 3 }),
      epoch: fc.constantFrom("e1", "e1", "e0"),
    });
    fc.assert(
      fc.property(
        fc.array(facts, { maxLength: 12 }),
        fc.constantFrom(undefined, "kill" as const),
        fc.array(listed, { maxLength: 6 }),
        (rows, arrayRequest, runs) => {
          const view = viewOf(
            ...rows.map((row) => aTask(row.id, row)),
            aTask("7", { isArray: true, request: arrayRequest }),
          );
          const { verdicts, ask } = judged(view, runs);
          for (const { run: each, verdict } of verdicts) {
            if (verdict.kind !== "stop") continue;
            const task = view.get(each.taskId)!;
            expect(each.epoch).toBe("e1");
            if (verdict.cause === "superseded") expect(task.attempt).toBeGreaterThan(each.attempt);
            else
              expect([task.attempt, verdict.cause, view.asked(task)?.request]).toEqual([
                each.attempt,
                "killed",
                "kill",
              ]);
          }
          const answered = [...verdicts.map((v) => v.run), ...ask];
          for (const each of runs) expect(answered).toContainEqual(each);
        },
      ),
    );
  });
});

describe("verdictOn", () => {
  it("says unknown only where storage said so, and ends only what is over or superseded", () => {
    expect((["current", "superseded", "over", "unknown"] as const).map(verdictOn)).toEqual([
      { kind: "run" },
      stop("superseded"),
      stop("over"),
      { kind: "unknown" },
    ]);
  });
});
