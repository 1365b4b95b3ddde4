import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { ListTasksRequest, RunKnowledge } from "@berth/contracts/store";
import { Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function foldTests(make: MakeDatabase): void {
  const open = () => Harness.open(make, { foldAfterMs: 0 });
  const array = (h: Harness, last: number, step = 1) => h.submit({ array: { first: 1, last, step, maxLive: 0 } });
  const indexes = (from: number, to: number, step = 1): number[] =>
    Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

  async function claim(h: Harness, id: string, some: readonly number[]): Promise<void> {
    for (let at = 0; at < some.length; at += 500)
      await h.plan(some.slice(at, at + 500).map((index) => [`${id}.${index}`, 1] as const));
  }

  /** Runs elements to their ends, each another one. */
  async function run(h: Harness, id: string, some: readonly number[]): Promise<void> {
    await claim(h, id, some);
    for (const index of some) {
      const failed = index % 7 === 0;
      await h.ended(`${id}.${index}`, 1, {
        startTime: new Date(h.nowMs - 1e6 + index),
        endTime: new Date(h.nowMs - 1e6 + 3 * index),
        outcome: failed ? Outcome.FAILED : Outcome.SUCCEEDED,
        exitCode: failed ? 3 : 0,
        ...(failed ? { signal: 9, reason: { code: "SIGNAL", message: "signal 9" } } : {}),
        usage: {
          cpuMs: index,
          peakMemoryBytes: index % 2 === 0 ? undefined : index * 1000,
          wallMs: 2 * index,
          ...(failed && { oomKills: 1 }),
        },
        logSizes: { stdoutBytes: index % 5, stderrBytes: index % 3, ...(failed && { stderrLostBytes: index }) },
        enforced: ["memory"],
      });
    }
  }

  async function foldAll(h: Harness, limit = 1_000): Promise<number> {
    let folded = 0;
    for (let more = true; more;) {
      const step = await h.store.fold(limit);
      folded += step.done;
      more = step.more;
    }
    return folded;
  }

  async function list(h: Harness, arrayId: string, filter: Partial<ListTasksRequest> = {}): Promise<Task[]> {
    const tasks: Task[] = [];
    let pageToken = "";
    do {
      const page = await h.store.list({
        ...ListTasksRequest.fromPartial({ arrayId, pageSize: 300 }),
        ...filter,
        pageToken,
      });
      tasks.push(...page.tasks);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tasks;
  }
  const seen = async (h: Harness, id: string, some: readonly number[]) => {
    const tasks: Task[] = [];
    for (const index of some) tasks.push(await h.get(`${id}.${index}`));
    return tasks;
  };

  it("changes nothing that is read of an element", async () => {
    await using h = await open();
    const id = await array(h, 120, 3); // 1 4 … 118
    await h.kill(`${id}.7`); // before its turn
    await claim(h, id, [1]);
    await h.refused(`${id}.1`);
    await h.place(`${id}.1`, 2, "h2");
    await h.ended(`${id}.1`, 2, { outcome: Outcome.TIMED_OUT, usage: undefined, logSizes: undefined }, "h2");
    await run(h, id, [4, ...indexes(10, 100, 3)]);
    await claim(h, id, [103]); // one lives, 106 … 118 were not begun
    const before = [await h.get(id), ...(await seen(h, id, indexes(1, 118, 3)))];
    const listed = await list(h, id);
    expect(before[1]).toMatchObject({ attempt: 2, hostId: "h2", attempts: [{ attempt: 1, hostId: "h1" }] });

    expect(await foldAll(h)).toBe(34);
    expect([await h.get(id), ...(await seen(h, id, indexes(1, 118, 3)))]).toEqual(before);
    expect(await list(h, id)).toEqual(listed);
    expect(await foldAll(h)).toBe(0);
    await h.reopen();
    expect([await h.get(id), ...(await seen(h, id, indexes(1, 118, 3)))]).toEqual(before);
    expect(await list(h, id)).toEqual(listed);
    await expect(h.get(`${id}.5`)).rejects.toMatchObject({ code: "not-found" });
  });

  it("says nothing in the feed, and leaves counts and cursor as they are", async () => {
    await using h = await open();
    const id = await array(h, 20);
    await run(h, id, indexes(1, 15));
    const token = await h.token();
    const before = await h.snapshot();
    const counts = await h.store.countTasks({ user: "" });
    expect(await foldAll(h)).toBe(15);
    expect((await h.changes(token)).changes).toEqual([]);
    expect((await h.snapshot()).tasks).toEqual(before.tasks);
    expect(await h.store.countTasks({ user: "" })).toEqual(counts);
    expect((await h.plan([[`${id}.16`, 1]])).placementRefusals).toEqual([""]);
  });

  it("answers what comes again as if nothing had been folded", async () => {
    await using h = await open();
    const id = await array(h, 5);
    await claim(h, id, [1]);
    await h.refused(`${id}.1`);
    await h.place(`${id}.1`, 2);
    await h.ended(`${id}.1`, 2);
    await run(h, id, [2, 3]);
    expect(await foldAll(h)).toBe(3);
    const epoch = h.store.epoch;
    expect(await h.ended(`${id}.1`, 2)).toBe(ReportAnswer.COMMITTED);
    expect(await h.report(`${id}.1`, 2, RunPhase.RUNNING)).toBe(ReportAnswer.COMMITTED);
    expect(await h.ended(`${id}.1`, 1)).toBe(ReportAnswer.SUPERSEDED);
    expect(await h.ended(`${id}.1`, 3)).toBe(ReportAnswer.UNKNOWN);
    expect(await h.ended(`${id}.2`, 1, {}, "h2")).toBe(ReportAnswer.UNKNOWN); // it ran on h1
    const { runs } = await h.store.lookUpRuns({
      hostId: "h1",
      runs: [
        { epoch, taskId: `${id}.1`, attempt: 2 },
        { epoch, taskId: `${id}.1`, attempt: 1 },
        { epoch, taskId: `${id}.1`, attempt: 3 },
        { epoch, taskId: `${id}.4`, attempt: 1 },
      ],
      assign: [],
      specsOf: [],
    });
    expect(runs).toEqual([RunKnowledge.OVER, RunKnowledge.SUPERSEDED, RunKnowledge.UNKNOWN, RunKnowledge.UNKNOWN]);
    expect(
      (
        await h.plan([
          [`${id}.1`, 1],
          [`${id}.2`, 2],
          [`${id}.4`, 1],
        ])
      ).placementRefusals,
    ).toEqual(["NOT_PENDING", "NOT_PENDING", ""]);
    for (const asked of [TaskRequest.KILL, TaskRequest.SUSPEND])
      expect(await h.ask(`${id}.2`, asked)).toEqual({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
    expect(await h.store.logState(`${id}.2`)).toMatchObject({
      attempt: 1,
      over: true,
      sizes: { stdout: 2, stderr: 2 },
    });
    expect(await h.get(id)).toMatchObject({ progress: { unclaimed: 1, live: 1, ended: { succeeded: 3 } } });
  });

  it("keeps what a superseded run used, told late", async () => {
    await using h = await open();
    const id = await array(h, 1);
    await h.place(`${id}.1`);
    await h.refused(`${id}.1`);
    await h.place(`${id}.1`, 2);
    await h.ended(`${id}.1`, 2);
    expect(await foldAll(h)).toBe(1);
    await h.ended(`${id}.1`, 1, { usage: { cpuMs: 7, peakMemoryBytes: 8, wallMs: 9 } });
    expect((await h.get(`${id}.1`)).attempts).toMatchObject([{ attempt: 1, usage: { cpuMs: 7, wallMs: 9 } }]);
  });

  it("waits for what was killed early until the cursor has stepped over it", async () => {
    await using h = await open();
    const id = await array(h, 6);
    for (const index of [3, 4, 6]) await h.kill(`${id}.${index}`);
    await run(h, id, [1]);
    await foldAll(h);
    await claim(h, id, [2, 5]);
    await foldAll(h);
    expect(await h.get(id)).toMatchObject({ progress: { unclaimed: 0, live: 2, ended: { succeeded: 1, killed: 3 } } });
    await h.ended(`${id}.2`);
    await h.ended(`${id}.5`);
    await foldAll(h);
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, progress: { ended: { succeeded: 3, killed: 3 } } });
    expect((await list(h, id)).map(({ outcome }) => outcome)).toEqual([
      Outcome.SUCCEEDED,
      Outcome.SUCCEEDED,
      Outcome.KILLED,
      Outcome.KILLED,
      Outcome.SUCCEEDED,
      Outcome.KILLED,
    ]);
  });

  it("goes on in steps, over several arrays, also when it is opened again between", async () => {
    await using h = await open();
    const first = await array(h, 2_500);
    const second = await array(h, 30);
    await run(h, first, indexes(1, 2_400));
    await run(h, second, indexes(1, 30));
    let folded = 0;
    for (let more = true, steps = 0; more; steps++) {
      const step = await h.store.fold(500);
      expect(step.done).toBeLessThanOrEqual(2_000); // about as many
      folded += step.done;
      more = step.more;
      if (steps % 2 === 1) await h.reopen();
      expect(steps).toBeLessThan(50);
    }
    folded += await foldAll(h);
    expect(folded).toBe(2_430);
    await run(h, first, indexes(2_401, 2_500));
    expect(await foldAll(h)).toBe(100);
    const all = await list(h, first, { pageSize: 1_000 });
    expect(all.map((task) => task.id)).toEqual(indexes(1, 2_500).map((index) => `${first}.${index}`));
    expect(all.every((task) => task.usage?.cpuMs === Number(task.id.split(".")[1]))).toBe(true);
  });

  it("lets elements be for a while after their end, whatever their hosts' clocks say", async () => {
    await using h = await Harness.open(make, { foldAfterMs: 60_000 });
    const id = await array(h, 2);
    await claim(h, id, [1, 2]);
    await h.ended(`${id}.1`, 1, { endTime: new Date(h.nowMs) });
    await h.ended(`${id}.2`, 1, { endTime: new Date(h.nowMs + 1e12) });
    expect(await foldAll(h)).toBe(0);
    h.nowMs += 60_000;
    expect(await foldAll(h)).toBe(2); // the array itself is over for so long
  });

  it("lists by any filter, page by page", async () => {
    await using h = await open();
    const id = await array(h, 6_000);
    await h.kill(`${id}.5990`);
    await run(h, id, indexes(1, 3_500));
    await foldAll(h);
    await run(h, id, indexes(3_501, 3_600)); // these are records
    await claim(h, id, indexes(3_601, 3_610));
    const of = async (filter: Partial<ListTasksRequest>) =>
      (await list(h, id, filter)).map((task) => Number(task.id.split(".")[1]));
    expect(await of({ outcomes: [Outcome.FAILED] })).toEqual(indexes(7, 3_600, 7));
    expect(await of({ outcomes: [Outcome.KILLED] })).toEqual([5_990]);
    expect(await of({ outcomes: [Outcome.OUT_OF_MEMORY] })).toEqual([]);
    expect(await of({ states: [TaskState.PLACED] })).toEqual(indexes(3_601, 3_610));
    expect(await of({ states: [TaskState.PLACED, TaskState.PENDING] })).toEqual(
      indexes(3_601, 6_000).filter((index) => index !== 5_990),
    );
    expect((await of({ states: [TaskState.OVER] })).length).toBe(3_601);
    expect(await of({ user: "bob" })).toEqual([]);
    expect((await of({})).length).toBe(6_000);
    const page = await h.store.list(ListTasksRequest.fromPartial({ arrayId: id, pageSize: 2, pageToken: "3499" }));
    expect(page).toMatchObject({ tasks: [{ id: `${id}.3499` }, { id: `${id}.3500` }], nextPageToken: "3501" });
  });

  it("folds what is left of an array that was killed, and tells the rest of it from its range", async () => {
    await using h = await open();
    const id = await array(h, 3_000);
    await run(h, id, indexes(1, 20));
    await h.kill(`${id}.2500`);
    await claim(h, id, [21]);
    await h.kill(id);
    await h.ended(`${id}.21`, 1, { outcome: Outcome.KILLED });
    const before = await list(h, id);
    expect(await foldAll(h)).toBe(22);
    expect(await list(h, id)).toEqual(before);
    expect(before.length).toBe(3_000);
    expect((await list(h, id, { outcomes: [Outcome.KILLED] })).length).toBe(2_980);
    expect((await list(h, id, { outcomes: [Outcome.FAILED] })).length).toBe(2);
    expect(await h.kill(`${id}.2000`)).toEqual({ state: TaskState.OVER, outcome: Outcome.KILLED });
  });
}
