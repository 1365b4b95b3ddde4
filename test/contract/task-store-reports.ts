import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { OnHostLost, Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { aStatus } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const { COMMITTED, SUPERSEDED, UNKNOWN } = ReportAnswer;

export function reportTests(make: MakeDatabase): void {
  const placed = async (h: Harness, hostId = "h1") => {
    const id = await h.submit();
    expect(await h.place(id, 1, hostId)).toBe("");
    return id;
  };

  it("follows a run from its host to its end", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    const startTime = new Date(h.nowMs + 100);
    const endTime = new Date(h.nowMs + 900);
    expect(await h.report(id, 1, RunPhase.ACCEPTED)).toBe(COMMITTED);
    expect(await h.report(id, 1, RunPhase.PREPARING, { detail: "pulling image" })).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({ state: TaskState.PLACED, detail: "pulling image" });
    expect(await h.report(id, 1, RunPhase.RUNNING, { startTime })).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({ state: TaskState.RUNNING, startTime, detail: "" });
    const token = await h.token();
    const end = {
      startTime,
      endTime,
      outcome: Outcome.FAILED,
      exitCode: 3,
      reason: { code: "EXIT_CODE", message: "exit code 3" },
      usage: { cpuMs: 70, peakMemoryBytes: 4096, wallMs: 800, oomKills: 2 },
      logSizes: { stdoutBytes: 12, stderrBytes: 0, stdoutLostBytes: 5, stderrLostBytes: undefined },
      enforced: ["memory", "pids"],
    };
    expect(await h.ended(id, 1, end)).toBe(COMMITTED);
    const told = {
      state: TaskState.OVER,
      outcome: Outcome.FAILED,
      exitCode: 3,
      reason: end.reason,
      startTime,
      endTime,
    };
    const task = {
      ...told,
      usage: end.usage,
      logSizes: end.logSizes,
      enforced: end.enforced,
      attempt: 1,
      hostId: "h1",
    };
    expect(await h.get(id)).toMatchObject(task);
    expect(await h.committed(id)).toMatchObject(task);
    expect((await h.changes(token)).tasks).toMatchObject([{ id, ...told }]);
  });

  it("takes the end of a run whose start nobody reported, and one by a signal", async () => {
    await using h = await Harness.open(make);
    const [short, signalled] = [await placed(h), await placed(h)];
    expect(await h.ended(short)).toBe(COMMITTED);
    expect(await h.get(short)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.SUCCEEDED,
      exitCode: 0,
      startTime: new Date(1_700_000_000_000),
    });
    expect(await h.ended(signalled, 1, { outcome: Outcome.FAILED, exitCode: undefined, signal: 11 })).toBe(COMMITTED);
    expect(await h.get(signalled)).toMatchObject({ signal: 11, exitCode: undefined });
  });

  it("answers repeats and earlier phases as committed, and changes nothing", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(COMMITTED);
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(COMMITTED);
    expect(await h.report(id, 1, RunPhase.REFUSED)).toBe(COMMITTED);
    expect(await h.ended(id)).toBe(COMMITTED);
    const over = await h.get(id);
    const token = await h.token();
    expect(await h.ended(id)).toBe(COMMITTED);
    expect(await h.ended(id, 1, { outcome: Outcome.FAILED, exitCode: 1 })).toBe(COMMITTED);
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(COMMITTED);
    expect(await h.report(id, 1, RunPhase.ACCEPTED)).toBe(COMMITTED);
    expect(await h.get(id)).toEqual(over);
    expect((await h.changes(token)).tasks).toEqual([]);
  });

  it("does not know runs of another life, of no task, of the future, or of another host", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    const other = "01890000-0000-7000-8000-000000000000";
    const send = async (status: ReturnType<typeof aStatus>, hostId = "h1") =>
      (await h.store.applyReports({ reports: [{ hostId, journalId: `journal-${hostId}`, statuses: [status] }] }))
        .replies[0]!.answers[0];
    const { epoch } = h.store;
    for (const phase of [RunPhase.ACCEPTED, RunPhase.RUNNING, RunPhase.ENDED, RunPhase.REFUSED]) {
      expect(await send(aStatus(other, id, 1, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, "999", 1, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, `${id}.1`, 1, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, "nonsense", 1, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, id, 2, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, id, 0, phase))).toBe(UNKNOWN);
      expect(await send(aStatus(epoch, id, 1, phase), "h2")).toBe(UNKNOWN);
    }
    expect(await send({ ...aStatus(epoch, id, 1, RunPhase.ENDED), run: undefined })).toBe(UNKNOWN);
    expect(await h.get(id)).toMatchObject({ state: TaskState.PLACED, attempt: 1 });
  });

  it("lets an older attempt change nothing, but keeps what it used, once", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    await h.refused(id);
    expect(await h.ended(id)).toBe(SUPERSEDED); // given up already
    expect(await h.place(id, 2)).toBe(""); // on the very same host
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(SUPERSEDED);
    expect(await h.report(id, 2, RunPhase.RUNNING)).toBe(COMMITTED);
    const token = await h.token();
    expect(await h.ended(id, 1, { outcome: Outcome.FAILED, exitCode: 9, usage: { cpuMs: 999, wallMs: 999 } })).toBe(
      SUPERSEDED,
    );
    expect(await h.report(id, 1, RunPhase.REFUSED)).toBe(SUPERSEDED);
    expect(await h.report(id, 1, RunPhase.SUSPENDED)).toBe(SUPERSEDED);
    expect((await h.changes(token)).tasks).toEqual([]);
    const task = await h.get(id);
    expect(task).toMatchObject({ state: TaskState.RUNNING, attempt: 2 });
    expect(task.exitCode).toBeUndefined();
    expect(task.attempts).toMatchObject([{ attempt: 1, usage: { cpuMs: 20, wallMs: 50 } }]);
  });

  it("lets no host speak of an older attempt that was another's", async () => {
    await using h = await Harness.open(make);
    const usage = { cpuMs: 999, wallMs: 999 };
    const refused = await placed(h);
    await h.refused(refused);
    const lost = await h.submit({ onHostLost: OnHostLost.RETRY, hostLeaseMs: 60_000 });
    expect(await h.place(lost, 1)).toBe("");
    expect(await h.report(lost, 1, RunPhase.RUNNING)).toBe(COMMITTED);
    await h.store.loseRuns({ hostId: "h1", by: "ann", listenedMs: 0, marginMs: 0 });
    for (const id of [refused, lost]) {
      expect(await h.place(id, 2, "h2")).toBe("");
      for (const phase of [RunPhase.ACCEPTED, RunPhase.RUNNING, RunPhase.ENDED, RunPhase.REFUSED])
        expect(await h.report(id, 1, phase, { usage }, "h2")).toBe(UNKNOWN);
      expect((await h.get(id)).attempts).toMatchObject([{ attempt: 1, hostId: "h1", usage: undefined }]);
      expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(SUPERSEDED);
      expect(await h.report(id, 1, RunPhase.ENDED, { usage: { cpuMs: 20, wallMs: 50 } })).toBe(SUPERSEDED);
      expect((await h.get(id)).attempts).toMatchObject([
        { attempt: 1, hostId: "h1", usage: { cpuMs: 20, wallMs: 50 } },
      ]);
    }
  });

  it("takes reports of many hosts together, each run on its own", async () => {
    await using h = await Harness.open(make);
    const [a, b] = [await placed(h, "h1"), await placed(h, "h2")];
    const { epoch } = h.store;
    const { replies } = await h.store.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: [
            aStatus(epoch, a, 1, RunPhase.ENDED),
            aStatus(epoch, b, 1, RunPhase.ENDED),
            aStatus(epoch, "999", 1, RunPhase.ENDED),
          ],
        },
        { hostId: "h2", journalId: "journal-h2", statuses: [aStatus(epoch, b, 1, RunPhase.RUNNING)] },
        { hostId: "h3", journalId: "journal-h3", statuses: [] },
      ],
    });
    expect(replies.map(({ answers }) => answers)).toEqual([[COMMITTED, UNKNOWN, UNKNOWN], [COMMITTED], []]);
    expect(await h.get(b)).toMatchObject({ state: TaskState.RUNNING });
  });

  it("puts a refused task back, and remembers hosts whose fault it was", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    const token = await h.token();
    expect(await h.refused(id, 1, "OVER_CAPACITY")).toBe(COMMITTED);
    expect(await h.refused(id, 1, "OVER_CAPACITY")).toBe(COMMITTED);
    expect((await h.changes(token)).tasks).toMatchObject([
      { id, state: TaskState.PENDING, attempt: 1, reason: { code: "OVER_CAPACITY" }, avoidHosts: [] },
    ]);
    for (const [attempt, host] of [
      [2, "h1"],
      [3, "h1"],
      [4, "h2"],
    ] as const) {
      expect(await h.place(id, attempt, host)).toBe("");
      expect(await h.refused(id, attempt, "ENGINE_BROKEN", host)).toBe(COMMITTED);
    }
    const row = (await h.snapshot()).tasks.find((task) => task.id === id);
    expect(row).toMatchObject({ state: TaskState.PENDING, attempt: 4, avoidHosts: ["h1", "h2"] });
    expect((await h.get(id)).attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
  });

  it("ends a pending task at once when asked, and notes the wish of a placed one", async () => {
    await using h = await Harness.open(make);
    const [pending, running] = [await h.submit(), await placed(h)];
    expect(await h.kill(pending)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    expect(await h.committed(pending)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      reason: { code: "KILLED_BY_USER", message: "killed by ada" },
    });
    const token = await h.token();
    expect(await h.kill(running)).toMatchObject({ state: TaskState.PLACED });
    expect(await h.kill(running)).toMatchObject({ state: TaskState.PLACED });
    expect((await h.changes(token)).tasks).toMatchObject([
      { id: running, state: TaskState.PLACED, request: TaskRequest.KILL, requestBy: "ada" },
    ]);
    expect(await h.committed(running)).toMatchObject({
      request: TaskRequest.KILL,
      legacy: { primary: "pending", secondary: "kill requested" },
    });
    expect(await h.report(running, 1, RunPhase.RUNNING)).toBe(COMMITTED); // a wish is no contrary fact
    expect(await h.ended(running, 1, { outcome: Outcome.KILLED, exitCode: undefined })).toBe(COMMITTED);
    expect(await h.get(running)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      request: TaskRequest.UNSPECIFIED,
    });
    expect(await h.kill(running)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
  });

  it("never runs a task again that was refused while its kill was asked for", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    await h.kill(id);
    expect(await h.refused(id)).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      reason: { code: "KILLED_BY_USER", message: "killed by ada" },
    });
    expect(await h.place(id, 2)).toBe("NOT_PENDING");
  });

  it("carries suspend and resume to their end, and lets a kill beat both", async () => {
    await using h = await Harness.open(make);
    const id = await placed(h);
    await h.report(id, 1, RunPhase.RUNNING);
    expect(await h.ask(id, TaskRequest.RESUME)).toMatchObject({
      failure: { code: "precondition", reason: "NOT_RUNNING" },
    });
    await h.ask(id, TaskRequest.SUSPEND);
    expect(await h.get(id)).toMatchObject({ state: TaskState.RUNNING, request: TaskRequest.SUSPEND });
    expect(await h.report(id, 1, RunPhase.SUSPENDED)).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({ state: TaskState.SUSPENDED, request: TaskRequest.UNSPECIFIED });
    await h.ask(id, TaskRequest.RESUME);
    await h.kill(id);
    await h.ask(id, TaskRequest.SUSPEND);
    expect(await h.get(id)).toMatchObject({ state: TaskState.SUSPENDED, request: TaskRequest.KILL });
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({ state: TaskState.RUNNING, request: TaskRequest.KILL });
    expect(await h.ask(await h.submit(), TaskRequest.SUSPEND)).toMatchObject({ failure: { reason: "NOT_RUNNING" } });
  });

  it("takes requests only for what is the asker's, and says of each what became of it", async () => {
    await using h = await Harness.open(make);
    const [mine, theirs] = [await h.submit(), await h.submit({ user: "bob" })];
    const { results } = await h.store.request({
      taskIds: [mine, theirs, "999", `${mine}.1`, "nonsense"],
      request: TaskRequest.KILL,
      user: "ada",
      admin: false,
    });
    expect(results.map(({ failure }) => failure?.reason)).toEqual([
      undefined,
      "NOT_YOURS",
      "TASK_NOT_FOUND",
      "TASK_NOT_FOUND",
      "TASK_NOT_FOUND",
    ]);
    expect(results[1]!.failure!.code).toBe("denied");
    expect(await h.get(theirs)).toMatchObject({ state: TaskState.PENDING });
    expect(await h.ask(theirs, TaskRequest.KILL, "root", true)).toMatchObject({ state: TaskState.OVER });
    expect(await h.get(theirs)).toMatchObject({ reason: { message: "killed by root" } });
    expect(await h.ask(mine, TaskRequest.UNSPECIFIED)).toMatchObject({ failure: { code: "invalid" } });
  });
}
