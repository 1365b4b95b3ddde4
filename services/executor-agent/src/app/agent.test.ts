import { ReportAnswer, RunPhase, Verdict } from "@berth/contracts/agent";
import { Outcome } from "@berth/contracts/types";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { Control, eventually, assign, endHosts, epoch, startHost } from "../testing/agent-host.ts";

afterEach(endHosts);

describe("Agent", () => {
  it("runs what it is given and reports each end once, with one write for a short one", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim"] },
        { id: "2", command: ["sim", "exit", "3"] },
        { id: "3", command: ["sim", "signal", "11"] },
      ]),
    );
    await control.until(() => ["1", "2", "3"].every((id) => control.of(id).length > 0));
    expect(control.of("1")).toMatchObject([{ phase: RunPhase.ENDED, outcome: Outcome.SUCCEEDED, exitCode: 0 }]);
    expect(control.of("2")).toMatchObject([{ outcome: Outcome.FAILED, exitCode: 3, reason: { code: "EXIT_CODE" } }]);
    expect(control.of("3")).toMatchObject([{ outcome: Outcome.FAILED, signal: 11, reason: { code: "SIGNAL" } }]);
  });

  it("does not start a run again: not while it runs, not after it was settled", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    const once = assign(journal.id, [{ id: "1", command: ["sim"] }]);
    await agent.onAssign(once);
    await agent.onAssign(once);
    await control.until(() => control.of("1").length === 1);
    await agent.onAssign(once);
    await agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim"] }]));
    await control.until(() => control.of("2").length === 1);
    expect(control.of("1")).toHaveLength(1);
  });

  it("refuses with a reason: an older term, another journal, more than is free", async () => {
    const journal = memoryJournal();
    const refused: string[] = [];
    const { agent, control } = await startHost({ journal, onRefused: (code) => refused.push(code) });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"], cpuMilli: 3000 }], 7));
    await agent.onAssign(assign(journal.id, [{ id: "2", command: ["sim"] }], 6));
    await agent.onAssign(assign("other", [{ id: "3", command: ["sim"] }], 7));
    await agent.onAssign(assign(journal.id, [{ id: "4", command: ["sim"], cpuMilli: 1001 }], 7));
    await control.until(() => ["2", "3", "4"].every((id) => control.of(id).length > 0));
    const reasons = ["2", "3", "4"].map((id) => [control.last(id)?.phase, control.last(id)?.reason?.code]);
    expect(reasons).toEqual([
      [RunPhase.REFUSED, "STALE_TERM"],
      [RunPhase.REFUSED, "OTHER_JOURNAL"],
      [RunPhase.REFUSED, "OVER_CAPACITY"],
    ]);
    expect(refused).toEqual(["STALE_TERM", "OTHER_JOURNAL"]); // the third waited for room
  });

  it("sends a report again until it is answered", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    const answers = [undefined, ReportAnswer.LATER, ReportAnswer.COMMITTED];
    control.answer = () => answers.shift();
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim"] }]));
    await control.until(() => control.of("1").length === 3);
    expect(answers).toEqual([]);
  });

  it("reports others at once, while one is to be reported again later", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    control.answer = ({ run }) => (run?.taskId === "1" ? ReportAnswer.LATER : ReportAnswer.COMMITTED);
    await agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim"] },
        { id: "2", command: ["sim"] },
      ]),
    );
    const from = performance.now();
    for (let n = 3; n < 30; n++) {
      await agent.onAssign(assign(journal.id, [{ id: `${n}`, command: ["sim"] }]));
      await control.until(() => control.of(`${n}`).length === 1);
    }
    expect(performance.now() - from).toBeLessThan(1_000);
    await control.until(() => control.of("1").length >= 2);
  });

  it("stops a run only when told to, with TERM, then KILL after its grace", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(
      assign(journal.id, [
        { id: "1", command: ["sim", "10s", "ignore-term"] },
        { id: "2", command: ["sim", "10s"] },
      ]),
    );
    control.reply = () => ({ verdicts: [] });
    agent.wake();
    await control.until(() => control.syncs.length === 2);
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: Verdict.STOP, reason: "KILLED", by: "ann" }],
    });
    agent.wake();
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({
      outcome: Outcome.KILLED,
      signal: 9,
      reason: { code: "KILLED_BY_USER", message: "killed by ann" },
    });
    expect(agent.liveRuns).toBe(1);
  });

  it("ends a run at its time limit", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "10s"], timeLimitMs: 60 }]));
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")).toMatchObject({ outcome: Outcome.TIMED_OUT, signal: 15, reason: { code: "TIME_LIMIT" } });
  });

  it("suspends and resumes", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "100ms"] }]));
    const say = (verdict: Verdict) => {
      control.reply = () => ({ verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict, reason: "", by: "" }] });
      agent.wake();
    };
    say(Verdict.SUSPEND);
    await control.until(() => control.last("1")?.phase === RunPhase.SUSPENDED);
    say(Verdict.RESUME);
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect(control.last("1")?.outcome).toBe(Outcome.SUCCEEDED);
  });

  it("tells of a stop for a run that it never had, as never started", async () => {
    const { agent, control } = await startHost();
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "9", attempt: 2 }, verdict: Verdict.STOP, reason: "KILLED", by: "ann" }],
    });
    agent.wake();
    await control.until(() => control.of("9").length === 1);
    expect(control.last("9")).toMatchObject({ phase: RunPhase.REFUSED, reason: { code: "NEVER_STARTED" } });
  });

  it("takes what it missed from a sync", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    control.reply = () => ({ missing: assign(journal.id, [{ id: "5", command: ["sim", "exit", "5"] }]) });
    agent.wake();
    await control.until(() => control.of("5").length === 1);
    expect(control.last("5")).toMatchObject({ exitCode: 5 });
  });

  it("lets a run that the database does not know run on, and keeps its end until it does", async () => {
    const journal = memoryJournal();
    const { agent, control } = await startHost({ journal });
    await agent.onAssign(assign(journal.id, [{ id: "1", command: ["sim", "150ms"] }]));
    const verdict = (word: Verdict) => () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: word, reason: "", by: "" }],
    });
    control.answer = () => ReportAnswer.UNKNOWN;
    control.reply = verdict(Verdict.UNKNOWN);
    agent.wake();
    await control.until(() => control.syncs.length === 2);
    agent.wake();
    await control.until(() => control.syncs.at(-1)?.host?.unknownRuns.length === 1);
    expect(control.syncs.at(-1)?.host?.used).toMatchObject({ cpuMilli: 1000 });
    await control.until(() => control.of("1").length === 1);
    control.answer = () => ReportAnswer.COMMITTED;
    control.reply = () => ({
      verdicts: [{ run: { epoch, taskId: "1", attempt: 1 }, verdict: Verdict.STOP, reason: "OVER", by: "" }],
    });
    agent.wake();
    await control.until(() => control.of("1").length === 2);
    expect(control.last("1")).toMatchObject({ outcome: Outcome.SUCCEEDED });
  });

  it("starts and reports nothing while another agent has its host name, and everything after that", async () => {
    const journal = memoryJournal();
    const control = new Control();
    let isTaken = true;
    const missing = assign(journal.id, [{ id: "1", command: ["sim"] }]);
    control.reply = () =>
      isTaken ? { ready: false, refused: { code: "HOST_NAME_TAKEN", message: "taken" } } : { missing };
    const { agent } = await startHost({ journal, control });
    const served: AbortSignal[] = [];
    agent.whileAssignable((signal) => served.push(signal));
    await eventually(() => agent.hostNameTaken);
    await expect(agent.onAssign(missing)).rejects.toMatchObject({ reason: "HOST_NAME_TAKEN" });
    agent.wake(); // meant for the other one
    expect([served.length, agent.liveRuns, control.syncs.length]).toEqual([0, 0, 1]);
    isTaken = false;
    await control.until(() => control.last("1")?.phase === RunPhase.ENDED);
    expect([served.length, served[0]!.aborted, agent.hostNameTaken]).toEqual([1, false, false]);
    isTaken = true;
    agent.wake();
    await eventually(() => agent.hostNameTaken);
    expect(served[0]!.aborted).toBe(true);
  });
});
