import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import type { LoseRunsResponse } from "@berth/contracts/store";
import { HostStatus, OnHostLost, Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const { COMMITTED, SUPERSEDED } = ReportAnswer;
const leaseMs = 20_000;
const marginMs = 5_000;
const passedMs = leaseMs + marginMs + 1;
const nothing: LoseRunsResponse = { retried: [], lost: [] };

export function lostTests(make: MakeDatabase): void {
  const running = async (h: Harness, onHostLost: OnHostLost, hostId = "h1") => {
    const id = await h.submit({ onHostLost, hostLeaseMs: leaseMs });
    expect(await h.place(id, 1, hostId)).toBe("");
    expect(await h.report(id, 1, RunPhase.RUNNING, {}, hostId)).toBe(COMMITTED);
    return id;
  };
  const lose = (h: Harness, { hostId = "h1", by = "", listenedMs = passedMs } = {}) =>
    h.store.loseRuns({ hostId, by, listenedMs, marginMs: by === "" ? marginMs : 0 });
  const run = (h: Harness, taskId: string, attempt = 1) => ({ epoch: h.store.epoch, taskId, attempt });
  const hostOf = async (h: Harness, id = "h1") => (await h.store.listHosts()).hosts.find((host) => host.id === id);

  it("gives up by lease what asked for it, each as it asked, and lets the rest wait", async () => {
    await using h = await Harness.open(make);
    const retry = await running(h, OnHostLost.RETRY);
    const fail = await running(h, OnHostLost.FAIL);
    const wait = await running(h, OnHostLost.WAIT);
    const unsaid = await running(h, OnHostLost.UNSPECIFIED);
    const elsewhere = await running(h, OnHostLost.RETRY, "h2");
    const token = await h.token();
    h.nowMs += passedMs;
    expect(await lose(h)).toEqual({ retried: [run(h, retry)], lost: [run(h, fail)] });
    const reason = { code: "HOST_LOST" };
    expect(await h.committed(retry)).toMatchObject({
      state: TaskState.PENDING,
      attempt: 1,
      reason,
      outcome: Outcome.UNSPECIFIED,
      attempts: [{ attempt: 1, hostId: "h1", outcome: Outcome.LOST, reason }],
    });
    expect(await h.committed(fail)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.LOST, reason, attempt: 1 });
    for (const id of [wait, unsaid, elsewhere]) expect(await h.get(id)).toMatchObject({ state: TaskState.RUNNING });
    expect((await h.changes(token)).tasks).toMatchObject([
      { id: retry, state: TaskState.PENDING, avoidHosts: ["h1"], reason },
      { id: fail, state: TaskState.OVER, outcome: Outcome.LOST, reason },
    ]);
    expect(await lose(h)).toEqual(nothing);
    expect(await hostOf(h)).toMatchObject({ liveTasks: 2, used: { cpuMilli: 2000 } });
    expect((await h.store.countTasks({ user: "" })).byState).toMatchObject({ pending: 1, running: 3, over: 1 });
  });

  it("waits for lease and margin since the host was heard, since the placement, and as long as the asker listened", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.RETRY);
    h.nowMs += passedMs - 1;
    expect(await lose(h)).toEqual(nothing);
    h.nowMs += 1;
    expect(await lose(h, { listenedMs: passedMs - 1 })).toEqual(nothing);
    await h.seen("h1");
    expect(await lose(h)).toEqual(nothing);
    h.nowMs += passedMs - 1;
    const later = await running(h, OnHostLost.RETRY);
    h.nowMs += 1;
    expect(await lose(h)).toEqual({ retried: [run(h, id)], lost: [] });
    h.nowMs += passedMs - 1;
    expect(await lose(h)).toEqual({ retried: [run(h, later)], lost: [] });
  });

  it("counts its own start as having heard of every host", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.RETRY);
    h.nowMs += passedMs;
    await h.reopen();
    expect(await lose(h)).toEqual(nothing);
    h.nowMs += passedMs;
    expect(await lose(h)).toEqual({ retried: [run(h, id)], lost: [] });
  });

  it("gives up nothing because its clock was set, and what is due by the time that passed", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.RETRY);
    for (const byMs of [passedMs, 3_600_000, -3_600_000]) {
      h.setClock(byMs);
      expect(await lose(h)).toEqual(nothing);
      await h.store.syncHosts({ hosts: [], silentHostIds: ["h1"], silentAfterMs: 30_000 });
      expect(await hostOf(h)).toMatchObject({ status: HostStatus.UP });
      h.nowMs += 1_000;
      await h.seen("h2");
    }
    h.setClock(7_200_000);
    expect(await lose(h)).toEqual(nothing);
    h.nowMs += passedMs - 1;
    expect(await lose(h)).toEqual(nothing);
    h.nowMs += 1;
    expect(await lose(h)).toEqual({ retried: [run(h, id)], lost: [] });
  });

  it("answers late news of a run that was given up as superseded, and keeps what it used", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.RETRY);
    h.nowMs += passedMs;
    await lose(h);
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(SUPERSEDED);
    expect(await h.ended(id, 1, { usage: { cpuMs: 70, wallMs: 700 } })).toBe(SUPERSEDED);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.PENDING,
      attempts: [{ attempt: 1, usage: { cpuMs: 70, wallMs: 700 } }],
    });
    const { runs } = await h.store.lookUpRuns({ hostId: "h1", runs: [run(h, id)], assign: [], specsOf: [] });
    expect(runs).toEqual(["RUN_KNOWLEDGE_SUPERSEDED"]);
    expect(await h.place(id, 2, "h2")).toBe("");
    expect(await h.ended(id, 2, {}, "h2")).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED, hostId: "h2" });
  });

  it("keeps what a run used that was given up for good, once; its end stands", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.FAIL);
    h.nowMs += passedMs;
    await lose(h);
    for (let n = 0; n < 2; n++) expect(await h.ended(id, 1, { usage: { cpuMs: 70, wallMs: 700 } })).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.LOST,
      attempts: [{ attempt: 1, outcome: Outcome.SUCCEEDED, usage: { cpuMs: 70, wallMs: 700 } }],
    });
  });

  it("keeps what a run used that was given up, and whose task was killed before it ran again", async () => {
    await using h = await Harness.open(make);
    const id = await running(h, OnHostLost.RETRY);
    await lose(h, { by: "op" });
    await h.kill(id);
    for (let n = 0; n < 2; n++) expect(await h.ended(id, 1, { usage: { cpuMs: 70, wallMs: 700 } })).toBe(COMMITTED);
    expect(await h.get(id)).toMatchObject({
      outcome: Outcome.KILLED,
      attempts: [{ attempt: 1, reason: { code: "HOST_DECLARED_LOST" }, usage: { cpuMs: 70, wallMs: 700 } }],
    });
  });

  it("ends what was asked to be killed instead of trying it again", async () => {
    await using h = await Harness.open(make);
    const [retry, suspend] = [await running(h, OnHostLost.RETRY), await running(h, OnHostLost.RETRY)];
    await h.kill(retry);
    await h.ask(suspend, TaskRequest.SUSPEND);
    h.nowMs += passedMs;
    expect(await lose(h)).toEqual({ retried: [run(h, suspend)], lost: [run(h, retry)] });
    expect(await h.get(retry)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      reason: { code: "KILLED_BY_USER", message: "killed by ada" },
    });
    expect(await h.get(suspend)).toMatchObject({ state: TaskState.PENDING, request: TaskRequest.UNSPECIFIED });
  });

  it("gives up everything on a host that an operator declares lost, until it is heard again", async () => {
    await using h = await Harness.open(make);
    const retry = await running(h, OnHostLost.RETRY);
    const fail = await running(h, OnHostLost.FAIL);
    const wait = await running(h, OnHostLost.WAIT);
    const pending = await h.submit();
    const token = await h.token();
    expect(await lose(h, { by: "root", listenedMs: 0 })).toEqual({
      retried: [run(h, retry)],
      lost: [run(h, fail), run(h, wait)],
    });
    const reason = { code: "HOST_DECLARED_LOST", message: expect.stringContaining("root") };
    expect(await h.committed(wait)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.LOST, reason });
    expect(await h.get(retry)).toMatchObject({ state: TaskState.PENDING, reason });
    expect(await h.get(pending)).toMatchObject({ state: TaskState.PENDING, attempt: 0 });
    expect((await h.changes(token)).hosts).toMatchObject([{ id: "h1", status: HostStatus.LOST, reason }]);
    await h.reopen();
    expect(await hostOf(h)).toMatchObject({ status: HostStatus.LOST, reason, liveTasks: 0 });
    expect(await lose(h, { by: "root" })).toEqual(nothing);
    await h.seen("h1");
    expect(await hostOf(h)).toMatchObject({ status: HostStatus.UP });
    await expect(lose(h, { hostId: "h9", by: "root" })).rejects.toMatchObject({
      code: "not-found",
      reason: "HOST_NOT_FOUND",
    });
  });

  it("retries a lost task elsewhere and keeps its usage, only if the task asks for it, and five times", async () => {
    await using h = await Harness.open(make);
    const retry = await running(h, OnHostLost.RETRY);
    const wait = await running(h, OnHostLost.WAIT);
    const rebooted = {
      outcome: Outcome.LOST,
      exitCode: undefined,
      reason: { code: "HOST_REBOOTED", message: "its host was started anew" },
      usage: { cpuMs: 5, wallMs: 50 },
    };
    expect(await h.ended(wait, 1, rebooted)).toBe(COMMITTED);
    expect(await h.get(wait)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.LOST, reason: rebooted.reason });
    expect(await h.ended(retry, 1, rebooted)).toBe(COMMITTED);
    expect(await h.ended(retry, 1, rebooted)).toBe(SUPERSEDED);
    expect((await h.snapshot()).tasks.find(({ id }) => id === retry)).toMatchObject({
      state: TaskState.PENDING,
      avoidHosts: ["h1"],
      reason: rebooted.reason,
    });
    expect((await h.get(retry)).attempts).toMatchObject([
      { attempt: 1, outcome: Outcome.LOST, reason: rebooted.reason, usage: rebooted.usage },
    ]);
    for (let attempt = 2; attempt <= 6; attempt += 1) {
      expect(await h.place(retry, attempt, "h2")).toBe("");
      expect(await h.ended(retry, attempt, rebooted, "h2")).toBe(COMMITTED);
    }
    const task = await h.get(retry);
    expect(task).toMatchObject({ state: TaskState.OVER, outcome: Outcome.LOST, attempt: 6, usage: rebooted.usage });
    expect(task.attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
    expect(task.reason).toMatchObject({ code: "HOST_REBOOTED", message: expect.stringContaining("5 times") });
  });

  it("does so with elements, and their array counts them", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit({
      array: { first: 1, last: 3, step: 1, maxLive: 0 },
      onHostLost: OnHostLost.RETRY,
      hostLeaseMs: leaseMs,
    });
    await h.plan([
      [`${id}.1`, 1, "h1"],
      [`${id}.2`, 1, "h1"],
      [`${id}.3`, 1, "h2"],
    ]);
    await h.ended(`${id}.3`, 1, { outcome: Outcome.LOST, exitCode: undefined }, "h2");
    h.nowMs += passedMs;
    expect(await lose(h)).toEqual({ retried: [run(h, `${id}.1`), run(h, `${id}.2`)], lost: [] });
    expect((await h.get(id)).progress).toMatchObject({ live: 0, waiting: 3, unclaimed: 0, ended: {} });
    for (const [n, host] of [
      [1, "h2"],
      [2, "h2"],
      [3, "h1"],
    ] as const) {
      expect(await h.place(`${id}.${n}`, 2, host)).toBe("");
      expect(await h.ended(`${id}.${n}`, 2, {}, host)).toBe(COMMITTED);
    }
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
  });
}
