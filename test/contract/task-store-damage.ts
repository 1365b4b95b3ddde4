import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { ListTasksRequest, RunKnowledge } from "@berth/contracts/store";
import { Dependency_Kind, OnHostLost, Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { aNewTask, aStatus } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const array = { first: 1, last: 3, step: 1, maxLive: 0 };
const tooLarge = 2n ** 53n;
const garbage = new Uint8Array(24).fill(0xff);
const unreadable = "RECORD_UNREADABLE";

/** One record that cannot be read harms its own task alone, and a kill ends it. */
export function damageTests(make: MakeDatabase): void {
  const listed = async ({ store }: Harness, wishes: Partial<ListTasksRequest> = {}) => {
    const { tasks } = await store.list(ListTasksRequest.fromPartial({ pageSize: 100, ...wishes }));
    return tasks.map(({ id, reason }) => [id, reason?.code ?? ""]);
  };

  it("goes on beside an array whose cursor no program can count with, until a kill ends it", async () => {
    await using h = await Harness.open(make, { foldAfterMs: 0 });
    const damaged = await h.submit({ array });
    const running = await h.submit();
    const waiting = await h.submit();
    expect(await h.place(`${damaged}.1`)).toBe("");
    expect(await h.place(running)).toBe("");
    await h.database.damage("array", damaged, "cursor", tooLarge);
    await h.reopen();

    const { tasks, token } = await h.snapshot();
    expect(tasks.map(({ id }) => id)).toEqual([`${damaged}.1`, running, waiting]);
    const { placementRefusals } = await h.plan([
      [`${damaged}.2`, 1],
      [waiting, 1],
    ]);
    expect(placementRefusals).toEqual([unreadable, ""]);
    const { replies } = await h.store.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: [
            aStatus(h.store.epoch, `${damaged}.1`, 1, RunPhase.ENDED),
            aStatus(h.store.epoch, running, 1, RunPhase.ENDED),
          ],
        },
      ],
    });
    expect(replies[0]!.answers).toEqual([ReportAnswer.LATER, ReportAnswer.COMMITTED]);
    expect((await h.changes(token)).tasks.map(({ id }) => id)).toEqual([waiting, running]);
    expect(await listed(h)).toEqual([
      [waiting, ""],
      [running, ""],
      [damaged, unreadable],
    ]);
    expect(await listed(h, { taskIds: [running, damaged] })).toEqual([
      [running, ""],
      [damaged, unreadable],
    ]);
    expect(await h.get(damaged)).toMatchObject({ id: damaged, reason: { code: unreadable } });
    await expect(h.store.updateTask({ taskId: damaged, user: "ada", admin: false, maxLive: 1 })).rejects.toMatchObject({
      reason: unreadable,
    });
    expect((await h.ask(damaged, TaskRequest.SUSPEND)).failure?.reason).toBe(unreadable);
    expect((await h.kill(damaged, "bob")).failure?.reason).toBe("NOT_YOURS");
    expect(await h.store.fold(100)).toEqual({ done: 0, more: false });

    expect(await h.kill(damaged)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    for (const id of [damaged, `${damaged}.1`])
      expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, reason: { code: "KILLED_BY_USER" } });
    expect(await h.ended(`${damaged}.1`)).toBe(ReportAnswer.COMMITTED);
    expect((await h.snapshot()).tasks.map(({ id }) => id)).toEqual([waiting]);
    const { byState } = await h.store.countTasks({ user: "" });
    expect(Object.values(byState).reduce((sum, n) => sum + n, 0)).toBe(5);
    expect(byState).toMatchObject({ placed: 1, over: 4 });
    expect((await h.store.listHosts()).hosts.find(({ id }) => id === "h1")?.liveTasks).toBe(1);
    h.nowMs += 100_000;
    expect((await h.store.expired(50_000, 10)).sort()).toEqual([damaged, running].sort());
    expect(await h.store.archive([damaged, running])).toBe(2);
    expect(await h.store.deleteRecords(50_000, 10)).toMatchObject({ done: 2 });
  });

  it("ends an array whose last index has no successor", async () => {
    await using h = await Harness.open(make);
    const damaged = await h.submit({ array });
    const last = tooLarge - 1n;
    for (const column of ["first", "last", "cursor"]) await h.database.damage("array", damaged, column, last);
    await h.reopen();
    expect((await h.snapshot()).tasks).toEqual([]);
    expect(await h.place(`${damaged}.${last}`)).toBe(unreadable);
    expect(await h.get(damaged)).toMatchObject({ reason: { code: unreadable } });
    expect(await h.kill(damaged)).toMatchObject({ outcome: Outcome.KILLED });
    expect(await h.get(damaged)).toMatchObject({ state: TaskState.OVER });
    expect(await h.store.fold(100)).toMatchObject({ more: false });
  });

  it("goes on beside a running task with a number that is none", async () => {
    await using h = await Harness.open(make);
    const damaged = await h.submit({ onHostLost: OnHostLost.RETRY, hostLeaseMs: 60_000 });
    const other = await h.submit();
    await h.plan([
      [damaged, 1],
      [other, 1],
    ]);
    await h.database.damage("task", damaged, "started_at", tooLarge);
    await h.reopen();
    expect((await h.snapshot()).tasks.map(({ id }) => id)).toEqual([other]);
    expect(await listed(h, { user: "ada", states: [TaskState.PLACED] })).toEqual([
      [other, ""],
      [damaged, unreadable],
    ]);
    expect(await h.ended(damaged)).toBe(ReportAnswer.LATER);
    const look = () =>
      h.store.lookUpRuns({
        hostId: "h1",
        runs: [damaged, other].map((taskId) => ({ epoch: h.store.epoch, taskId, attempt: 1 })),
        assign: [],
        specsOf: [],
      });
    expect((await look()).runs).toEqual([RunKnowledge.UNKNOWN, RunKnowledge.CURRENT]);
    const given = await h.store.loseRuns({ hostId: "h1", by: "ada", listenedMs: 0, marginMs: 0 });
    expect(given.lost.map(({ taskId }) => taskId)).toEqual([other]);
    expect(await h.kill(damaged)).toMatchObject({ outcome: Outcome.KILLED });
    expect((await look()).runs[0]).toBe(RunKnowledge.OVER);
    expect(await h.ended(damaged)).toBe(ReportAnswer.COMMITTED);
    expect((await h.store.listHosts()).hosts.find(({ id }) => id === "h1")?.liveTasks).toBe(0);
  });

  it("goes on beside a task whose spec is damaged, and one that waits for it", async () => {
    await using h = await Harness.open(make);
    const damaged = await h.submit();
    const other = await h.submit();
    await h.database.damage("spec", damaged, "cpu_milli", tooLarge);
    await h.reopen();
    expect(
      (
        await h.plan([
          [damaged, 1],
          [other, 1],
        ])
      ).placementRefusals,
    ).toEqual([unreadable, ""]);
    const [refused] = await h.submitAll([
      aNewTask({ dependencies: [{ taskId: damaged, kind: Dependency_Kind.AFTER_OK }] }),
    ]);
    expect(refused!.failure?.reason).toBe(unreadable);
    expect(await listed(h)).toEqual([
      [other, ""],
      [damaged, unreadable],
    ]);
    expect(await h.kill(damaged)).toMatchObject({ outcome: Outcome.KILLED });
    expect(await h.get(damaged)).toMatchObject({
      reason: { code: "KILLED_BY_USER" },
      spec: { name: expect.any(String) },
    });
  });

  it.each(["head", "deps", "run_spec"])("goes on beside a task whose %s cannot be decoded", async (column) => {
    await using h = await Harness.open(make);
    const parent = await h.submit();
    const dependencies = [{ taskId: parent, kind: Dependency_Kind.AFTER }];
    const damaged = await h.submit({ dependencies });
    const [answer] = await h.submitAll([aNewTask({ dependencies })]);
    const other = answer!.taskId;
    await h.database.damage("spec", damaged, column, garbage);
    await h.reopen();
    const told = (await h.snapshot()).tasks.map(({ id }) => id);
    expect(told).toEqual(expect.arrayContaining([parent, other]));
    expect(await h.place(parent)).toBe("");
    expect(await h.ended(parent)).toBe(ReportAnswer.COMMITTED);
    // A scheduler that cannot decode its row never plans it.
    if (column === "run_spec") expect((await h.plan([[damaged, 1]])).placementRefusals).toEqual([unreadable]);
    expect(await h.place(other)).toBe("");
    expect((await listed(h)).map(([id]) => id)).toEqual(expect.arrayContaining([other, damaged]));
    expect(await h.get(damaged)).toMatchObject({ id: damaged, state: TaskState.PENDING });
    expect(await h.kill(damaged)).toMatchObject({ outcome: Outcome.KILLED, state: TaskState.OVER });
    expect(await h.get(damaged)).toMatchObject({ state: TaskState.OVER });
    expect((await h.snapshot()).tasks.map(({ id }) => id)).toContain(other);
    expect(await h.ended(other)).toBe(ReportAnswer.COMMITTED);
  });

  it.each(["revision", "attempt", "lease_ms", "ended_at"])(
    "goes on beside a task whose %s is no number, and tells of its end in the feed",
    async (column) => {
      await using h = await Harness.open(make);
      const damaged = await h.submit();
      const other = await h.submit();
      await h.plan([
        [damaged, 1],
        [other, 1],
      ]);
      await h.database.damage("task", damaged, column, tooLarge);
      await h.reopen();
      const { tasks, token } = await h.snapshot();
      expect(tasks.map(({ id }) => id)).toContain(other);
      expect(await h.ended(other)).toBe(ReportAnswer.COMMITTED);
      expect((await listed(h)).map(([id]) => id)).toEqual([other, damaged]);
      expect(await h.kill(damaged)).toMatchObject({ outcome: Outcome.KILLED });
      const told = (await h.changes(token)).tasks.filter(({ state }) => state === TaskState.OVER);
      expect(told.map(({ id }) => id)).toEqual([other, damaged]);
      expect(await h.get(damaged)).toMatchObject({ state: TaskState.OVER });
    },
  );

  it("goes on beside folded elements that cannot be decoded: their array shows it, others are read", async () => {
    await using h = await Harness.open(make, { foldAfterMs: 0 });
    const [damaged, other] = [await h.submit({ array }), await h.submit({ array })];
    await h.submit(); // the last record is never deleted
    for (const id of [damaged, other])
      for (const index of [1, 2, 3]) {
        expect(await h.place(`${id}.${index}`)).toBe("");
        expect(await h.ended(`${id}.${index}`)).toBe(ReportAnswer.COMMITTED);
      }
    h.nowMs += 10_000;
    expect((await h.store.fold(100)).done).toBe(6);
    await h.database.damage("folded", damaged, "body", garbage);
    await h.reopen();
    expect(await h.get(`${other}.2`)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
    await expect(h.get(`${damaged}.2`)).rejects.toMatchObject({ reason: unreadable });
    expect(await h.get(damaged)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
    expect((await listed(h)).map(([id]) => id)).toEqual([expect.any(String), other, damaged]);
    // A report of one of them is answered, and neither host nor reports of others wait for it.
    const { replies } = await h.store.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: [damaged, other].map((id) => aStatus(h.store.epoch, `${id}.2`, 1, RunPhase.ENDED)),
        },
      ],
    });
    expect(replies[0]!.answers[1]).toBe(ReportAnswer.COMMITTED);
    h.nowMs += 100_000;
    expect((await h.store.expired(50_000, 10)).sort()).toEqual([damaged, other].sort());
    expect(await h.store.archive([damaged, other])).toBe(2);
    expect(await h.store.deleteRecords(50_000, 10)).toMatchObject({ done: 2 });
  });

  it.each([
    ["said", garbage],
    ["revision", tooLarge],
    ["seen_at", tooLarge],
  ] as const)("goes on beside a host whose %s is damaged, until its agent is heard again", async (column, value) => {
    await using h = await Harness.open(make);
    const [here, there] = [await h.submit(), await h.submit()];
    expect(await h.place(here, 1, "h1")).toBe("");
    await h.database.damage("host", "h1", column, value);
    await h.reopen();
    expect((await h.snapshot()).hosts.map(({ id }) => id)).toContain("h2");
    expect((await h.store.listHosts()).hosts.map(({ id }) => id)).toContain("h2");
    expect(await h.place(there, 1, "h2")).toBe("");
    expect(await h.ended(here)).toBe(ReportAnswer.COMMITTED);
    await h.seen("h1");
    expect((await h.snapshot()).hosts.map(({ id }) => id).toSorted()).toEqual(["h1", "h2"]);
    const next = await h.submit();
    expect(await h.place(next, 1, "h1")).toBe("");
    await h.reopen();
    expect((await h.snapshot()).hosts.map(({ id }) => id).toSorted()).toEqual(["h1", "h2"]);
  });

  it("bounds what an agent says so that sums stay numbers", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit({ array });
    const huge = Number.MAX_SAFE_INTEGER;
    for (const idx of [1, 2, 3]) {
      expect(await h.place(`${id}.${idx}`)).toBe("");
      const usage = { cpuMs: huge, wallMs: huge, peakMemoryBytes: huge };
      const endTime = new Date(NaN);
      expect(await h.ended(`${id}.${idx}`, 1, { usage, endTime })).toBe(ReportAnswer.COMMITTED);
    }
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
    expect((await h.snapshot()).tasks).toEqual([]);
  });
}
