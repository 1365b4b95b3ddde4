import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import type { ArraySpec } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function arrayTests(make: MakeDatabase): void {
  const range = (first: number, last: number, step = 1, maxLive = 0): ArraySpec => ({ first, last, step, maxLive });
  const array = (h: Harness, spec: ArraySpec) => h.submit({ array: spec });

  it("is one record, however many elements it has", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 10_000_000));
    const { tasks } = await h.snapshot();
    expect(tasks).toMatchObject([
      {
        id,
        state: TaskState.PENDING,
        array: { first: 1, last: 10_000_000, step: 1, maxLive: 0 },
        cursor: 1,
        progress: { total: 10_000_000, unclaimed: 10_000_000, live: 0 },
      },
    ]);
    expect(await h.store.countTasks({ user: "" })).toEqual({ byState: { pending: 10_000_000 } });
    expect(await h.get(`${id}.9999999`)).toMatchObject({
      state: TaskState.PENDING,
      attempt: 0,
      spec: { command: ["true"] },
    });
    await expect(h.get(`${id}.10000001`)).rejects.toMatchObject({ code: "not-found" });
  });

  it("is claimed along its cursor, once an element, both ends of the range included", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 10, 4));
    const token = await h.token();
    const { placementRefusals, assignments } = await h.plan([
      [`${id}.1`, 1],
      [`${id}.9`, 1],
      [`${id}.5`, 1],
      [`${id}.1`, 1],
      [`${id}.9`, 1, "h2"],
      [`${id}.13`, 1],
      [`${id}.2`, 1],
    ]);
    expect(placementRefusals).toEqual(["", "STALE_ATTEMPT", "", "NOT_PENDING", "", "NOT_FOUND", "NOT_FOUND"]);
    expect(
      assignments.map(({ hostId, assign }) => [
        hostId,
        assign!.specs.length,
        assign!.assignments.map(({ run }) => run!.taskId),
      ]),
    ).toEqual([
      ["h1", 1, [`${id}.1`, `${id}.5`]],
      ["h2", 1, [`${id}.9`]],
    ]);
    const { tasks } = await h.changes(token);
    expect(tasks.map((row) => row.id)).toEqual([`${id}.1`, `${id}.5`, `${id}.9`, id]);
    expect(tasks[0]).toMatchObject({
      state: TaskState.PLACED,
      attempt: 1,
      hostId: "h1",
      user: "ada",
      array: undefined,
    });
    expect(tasks[3]).toMatchObject({
      state: TaskState.RUNNING,
      progress: { total: 3, unclaimed: 0, live: 3, waiting: 0 },
    });
    expect(tasks[3]!.cursor).toBeGreaterThan(10);
  });

  it("has no more elements under way than it may", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(0, 9, 1, 2));
    const claim = async (index: number) => h.place(`${id}.${index}`);
    expect([await claim(0), await claim(1), await claim(2)]).toEqual(["", "", "ARRAY_LIMIT"]);
    expect(
      (
        await h.plan([
          [`${id}.2`, 1],
          [`${id}.3`, 1],
          [`${id}.1`, 1],
        ])
      ).placementRefusals,
    ).toEqual(["ARRAY_LIMIT", "STALE_ATTEMPT", "NOT_PENDING"]);
    await h.ended(`${id}.0`);
    expect(
      (
        await h.plan([
          [`${id}.2`, 1],
          [`${id}.3`, 1],
        ])
      ).placementRefusals,
    ).toEqual(["", "ARRAY_LIMIT"]);
    await h.refused(`${id}.1`);
    expect(await claim(3)).toBe("");
    expect(await h.place(`${id}.1`, 2)).toBe("ARRAY_LIMIT"); // one that waits again is bound by it, too
  });

  it("succeeds when all its elements did", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 3));
    await h.plan([1, 2, 3].map((i) => [`${id}.${i}`, 1] as const));
    await h.ended(`${id}.1`);
    await h.ended(`${id}.2`);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.RUNNING,
      outcome: Outcome.UNSPECIFIED,
      progress: { live: 1, ended: { succeeded: 2 } },
    });
    await h.ended(`${id}.3`);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.SUCCEEDED,
      endTime: new Date(h.nowMs),
      usage: { cpuMs: 60, wallMs: 150 },
    });
    expect((await h.snapshot()).tasks).toEqual([]);
    expect(await h.ended(`${id}.3`)).toBe(ReportAnswer.COMMITTED);
    expect(await h.get(id)).toMatchObject({ progress: { ended: { succeeded: 3 } } });
  });

  it("fails when some did not, and says how many", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 4));
    await h.plan([1, 2, 3, 4].map((i) => [`${id}.${i}`, 1] as const));
    await h.ended(`${id}.1`);
    await h.ended(`${id}.2`, 1, { outcome: Outcome.FAILED, exitCode: 1 });
    await h.ended(`${id}.3`, 1, { outcome: Outcome.FAILED, exitCode: 1 });
    await h.ended(`${id}.4`, 1, { outcome: Outcome.OUT_OF_MEMORY });
    const task = await h.get(id);
    expect(task).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.FAILED,
      reason: { code: "ELEMENTS_FAILED" },
      progress: { ended: { succeeded: 1, failed: 2, out_of_memory: 1 } },
    });
    expect(task.reason!.message).toMatch(/3 of 4 elements.*2 failed.*1 out of memory/);
  });

  it("is not over while an element waits again", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 2));
    await h.plan([
      [`${id}.1`, 1],
      [`${id}.2`, 1],
    ]);
    await h.ended(`${id}.2`);
    await h.refused(`${id}.1`);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.RUNNING,
      progress: { live: 0, waiting: 1, unclaimed: 0 },
    });
    expect((await h.snapshot()).tasks.map((row) => [row.id, row.state, row.attempt])).toEqual([
      [id, TaskState.RUNNING, 0],
      [`${id}.1`, TaskState.PENDING, 1],
    ]);
    expect(await h.place(`${id}.1`, 2)).toBe("");
    expect(await h.get(id)).toMatchObject({ progress: { live: 1, waiting: 0 } });
    await h.ended(`${id}.1`, 2);
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
  });

  it("ends with its range when it is killed, and goes on being one until its live elements ended", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 1_000));
    await h.plan([1, 2, 3].map((i) => [`${id}.${i}`, 1] as const));
    await h.ended(`${id}.1`);
    await h.refused(`${id}.2`);
    const token = await h.token();
    expect(await h.kill(id)).toMatchObject({ state: TaskState.RUNNING });
    const { tasks } = await h.changes(token);
    expect(tasks).toMatchObject([
      { id: `${id}.2`, state: TaskState.OVER, outcome: Outcome.KILLED },
      {
        id,
        request: TaskRequest.KILL,
        requestBy: "ada",
        progress: { unclaimed: 0, live: 1, waiting: 0, ended: { succeeded: 1, killed: 998 } },
      },
    ]);
    expect(await h.place(`${id}.4`)).toBe("NOT_PENDING"); // ended with the range
    expect(await h.get(`${id}.500`)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    expect(await h.get(`${id}.3`)).toMatchObject({ state: TaskState.PLACED });
    expect(await h.kill(id)).toMatchObject({ state: TaskState.RUNNING });
    expect(await h.kill(`${id}.500`)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    await h.ended(`${id}.3`, 1, { outcome: Outcome.KILLED });
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      reason: { code: "KILLED_BY_USER", message: "killed by ada" },
      request: TaskRequest.UNSPECIFIED,
    });
    expect(await h.get(id)).toMatchObject({ progress: { total: 1_000, ended: { succeeded: 1, killed: 999 } } });
    expect(await h.store.countTasks({ user: "ada" })).toMatchObject({
      byState: { over: 1_000, pending: 0, placed: 0 },
    });
  });

  it("is over at once when it is killed before anything of it lived", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 50));
    expect(await h.kill(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    expect(await h.committed(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
  });

  it("hands its kill to an element that is refused meanwhile", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 2));
    await h.place(`${id}.1`);
    await h.kill(id);
    expect(await h.refused(`${id}.1`)).toBe(ReportAnswer.COMMITTED);
    expect(await h.get(`${id}.1`)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      reason: { message: "killed by ada" },
    });
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
  });

  it("loses single elements before they began, and steps over them", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(10, 70, 10)); // 10 20 30 40 50 60 70
    for (const index of [30, 40, 70])
      expect(await h.kill(`${id}.${index}`)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    expect(await h.kill(`${id}.30`)).toMatchObject({ state: TaskState.OVER });
    expect(await h.kill(`${id}.35`)).toMatchObject({ failure: { reason: "TASK_NOT_FOUND" } });
    expect(await h.ask(`${id}.50`, TaskRequest.SUSPEND)).toMatchObject({ failure: { reason: "NOT_RUNNING" } });
    expect(await h.get(id)).toMatchObject({
      state: TaskState.PENDING,
      progress: { total: 7, unclaimed: 4, ended: { killed: 3 } },
    });
    expect(await h.kill(`${id}.10`)).toMatchObject({ state: TaskState.OVER }); // the one at the cursor
    expect((await h.snapshot()).tasks).toMatchObject([{ id, cursor: 20, progress: { unclaimed: 3 } }]);
    expect(
      (
        await h.plan([
          [`${id}.20`, 1],
          [`${id}.30`, 1],
          [`${id}.50`, 1],
          [`${id}.60`, 1],
        ])
      ).placementRefusals,
    ).toEqual(["", "NOT_PENDING", "", ""]);
    for (const index of [20, 50, 60]) await h.ended(`${id}.${index}`);
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.FAILED,
      progress: { total: 7, unclaimed: 0, ended: { succeeded: 3, killed: 4 } },
    });
  });

  it("keeps its counts right when it is killed with elements killed early", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 10));
    await h.kill(`${id}.5`);
    await h.place(`${id}.1`);
    await h.kill(id);
    expect(await h.get(id)).toMatchObject({ progress: { total: 10, unclaimed: 0, live: 1, ended: { killed: 9 } } });
    await h.ended(`${id}.1`, 1, { outcome: Outcome.KILLED });
    expect(await h.get(id)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.KILLED,
      progress: { ended: { killed: 10 } },
    });
  });

  it("ends an element that waits, but not itself, once it was begun", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 2));
    await h.plan([
      [`${id}.1`, 1],
      [`${id}.2`, 1],
    ]);
    await h.refused(`${id}.1`);
    const reason = { code: "NO_HOST_LARGE_ENOUGH", message: "no host is large enough" };
    expect(await h.end({ taskId: id, outcome: Outcome.REJECTED, reason })).toBe("NOT_PENDING");
    expect(await h.end({ taskId: `${id}.1`, outcome: Outcome.REJECTED, reason })).toBe("");
    expect(await h.get(id)).toMatchObject({ progress: { live: 1, waiting: 0, ended: { rejected: 1 } } });
  });

  it("does not suspend as a whole", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 2));
    expect(await h.ask(id, TaskRequest.SUSPEND)).toMatchObject({
      failure: { code: "precondition", reason: "ARRAY_NOT_SUSPENDABLE" },
    });
  });

  it("is the same after it was opened again", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, range(1, 6));
    await h.kill(`${id}.3`);
    await h.plan([
      [`${id}.1`, 1],
      [`${id}.2`, 1],
    ]);
    await h.report(`${id}.1`, 1, RunPhase.RUNNING);
    const before = await h.snapshot();
    await h.reopen();
    const after = await h.snapshot();
    expect(after.tasks).toEqual(before.tasks);
    expect((await h.plan([[`${id}.4`, 1]])).placementRefusals).toEqual([""]);
  });
}
