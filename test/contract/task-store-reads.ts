import { RunPhase } from "@berth/contracts/agent";
import { RunKnowledge } from "@berth/contracts/store";
import type { ListTasksRequest } from "@berth/contracts/store";
import { Outcome, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { aNewTask } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function readTests(make: MakeDatabase): void {
  const ask = (wishes: Partial<ListTasksRequest> = {}): ListTasksRequest => ({
    user: "",
    states: [],
    outcomes: [],
    name: "",
    arrayId: "",
    pageSize: 0,
    pageToken: "",
    taskIds: [],
    ...wishes,
  });
  const pages = async (h: Harness, wishes: Partial<ListTasksRequest>): Promise<Task[]> => {
    const tasks: Task[] = [];
    let pageToken = "";
    do {
      const page = await h.store.list(ask({ ...wishes, pageToken }));
      tasks.push(...page.tasks);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tasks;
  };
  const ids = (tasks: readonly Task[]) => tasks.map(({ id }) => id);

  it("gets a task for who may see it", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    expect(await h.store.get({ taskId: id, user: "ada" })).toMatchObject({ id });
    await expect(h.store.get({ taskId: id, user: "bob" })).rejects.toMatchObject({ code: "denied" });
    for (const taskId of ["999", `${id}.1`, "nonsense", ""])
      await expect(h.store.get({ taskId, user: "" })).rejects.toMatchObject({
        code: "not-found",
        reason: "TASK_NOT_FOUND",
      });
  });

  it("lists newest first, in pages, each task once", async () => {
    await using h = await Harness.open(make);
    const all = (await h.submitAll(Array.from({ length: 25 }, () => aNewTask()))).map(({ taskId }) => taskId);
    const listed = await pages(h, { pageSize: 10 });
    expect(ids(listed)).toEqual(all.toReversed());
    expect(listed[0]).toMatchObject({
      spec: { name: "true", project: "default", command: [], resources: { cpuMilli: 1000 } },
      identity: { user: "ada", uid: 20_001 },
    });
    await expect(h.store.list(ask({ pageSize: 1_001 }))).rejects.toMatchObject({ code: "invalid" });
    await expect(h.store.list(ask({ pageSize: -1 }))).rejects.toMatchObject({ code: "invalid" });
    await expect(h.store.list(ask({ pageToken: "nonsense" }))).rejects.toMatchObject({
      code: "invalid",
      metadata: { field: "page_token" },
    });
  });

  it("lists by user, state, outcome, name and id", async () => {
    await using h = await Harness.open(make);
    const [a, b, c, d] = [
      await h.submit({ name: "count-1" }),
      await h.submit({ name: "count-2" }),
      await h.submit({ name: "merge" }),
      await h.submit({ name: "count-1", user: "bob" }),
    ];
    await h.place(b);
    await h.kill(c);
    expect(ids(await pages(h, { user: "ada" }))).toEqual([c, b, a]);
    expect(ids(await pages(h, { user: "bob" }))).toEqual([d]);
    expect(ids(await pages(h, { user: "eve" }))).toEqual([]);
    expect(ids(await pages(h, { user: "ada", states: [TaskState.PENDING, TaskState.PLACED] }))).toEqual([b, a]);
    expect(ids(await pages(h, { states: [TaskState.PENDING] }))).toEqual([d, a]);
    expect(ids(await pages(h, { states: [TaskState.OVER] }))).toEqual([c]);
    expect(ids(await pages(h, { outcomes: [Outcome.KILLED] }))).toEqual([c]);
    expect(ids(await pages(h, { name: "count-1" }))).toEqual([d, a]);
    expect(ids(await pages(h, { name: "count-*", user: "ada" }))).toEqual([b, a]);
    expect(ids(await pages(h, { name: "count" }))).toEqual([]);
    expect(ids(await pages(h, { taskIds: [a, d, "999", "nonsense"] }))).toEqual([a, d]);
    expect(ids(await pages(h, { taskIds: [a, d], user: "ada" }))).toEqual([a]);
  });

  it("lists the elements of an array by index, also those that have no record", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit({ array: { first: 1, last: 13, step: 2, maxLive: 0 } });
    await h.place(`${id}.1`);
    await h.kill(`${id}.5`);
    const states = async (wishes: Partial<ListTasksRequest> = {}) =>
      (await pages(h, { arrayId: id, pageSize: 3, ...wishes })).map((task) => [task.id.split(".")[1], task.state]);
    const { PENDING, PLACED, OVER } = TaskState;
    expect(await states()).toEqual([
      ["1", PLACED],
      ["3", PENDING],
      ["5", OVER],
      ["7", PENDING],
      ["9", PENDING],
      ["11", PENDING],
      ["13", PENDING],
    ]);
    expect(await states({ states: [OVER, PLACED] })).toEqual([
      ["1", PLACED],
      ["5", OVER],
    ]);
    await h.kill(id);
    expect(await states({ states: [PENDING] })).toEqual([]);
    expect(await states({ user: "bob" })).toEqual([]);
    expect(await pages(h, { arrayId: "999" })).toEqual([]);
    expect(ids(await pages(h, { user: "ada" }))).toEqual([id]); // elements do not stand beside tasks
  });

  it("gives a token with a page from which a watch misses nothing", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    const { watchToken } = await h.store.list(ask());
    await h.kill(id);
    expect((await h.changes(watchToken)).tasks).toMatchObject([{ id, state: TaskState.OVER }]);
  });

  it("knows of a run whether it is wanted, superseded, over or unknown", async () => {
    await using h = await Harness.open(make);
    const [again, over, waiting, elsewhere] = [await h.submit(), await h.submit(), await h.submit(), await h.submit()];
    await h.plan([
      [again, 1],
      [over, 1],
      [waiting, 1],
      [elsewhere, 1, "h2"],
    ]);
    await h.refused(again);
    await h.place(again, 2);
    await h.ended(over);
    await h.refused(waiting);
    const { epoch } = h.store;
    const run = (taskId: string, attempt: number, of = epoch) => ({ epoch: of, taskId, attempt });
    const runs = [
      run(again, 1),
      run(again, 2),
      run(again, 3),
      run(over, 1),
      run(waiting, 1),
      run(elsewhere, 1),
      run("999", 1),
      run(again, 2, "another"),
      run(again, 0),
    ];
    const { CURRENT, SUPERSEDED, OVER, UNKNOWN } = RunKnowledge;
    expect((await h.store.lookUpRuns({ hostId: "h1", runs, assign: [], specsOf: [] })).runs).toEqual([
      SUPERSEDED,
      CURRENT,
      UNKNOWN,
      OVER,
      SUPERSEDED,
      UNKNOWN,
      UNKNOWN,
      UNKNOWN,
      UNKNOWN,
    ]);
  });

  it("gives assignments again for what is still placed there, under the same journal, and not to be killed", async () => {
    await using h = await Harness.open(make);
    const [wanted, running, killed, elsewhere, array] = [
      await h.submit(),
      await h.submit(),
      await h.submit(),
      await h.submit(),
      await h.submit({ array: { first: 1, last: 1, step: 1, maxLive: 0 } }),
    ];
    await h.plan([
      [wanted, 1],
      [running, 1],
      [killed, 1],
      [elsewhere, 1, "h2"],
      [`${array}.1`, 1],
    ]);
    await h.report(running, 1, RunPhase.RUNNING);
    await h.kill(killed);
    await h.kill(array);
    const assign = [wanted, running, killed, elsewhere, `${array}.1`, "999"].map((taskId) => ({
      epoch: h.store.epoch,
      taskId,
      attempt: 1,
    }));
    const look = async () => (await h.store.lookUpRuns({ hostId: "h1", runs: [], assign, specsOf: [] })).assign!;
    const given = await look();
    expect(given.assignments.map(({ run }) => run!.taskId)).toEqual([wanted]);
    expect(given).toMatchObject({
      term: h.term,
      specs: [{ spec: { command: ["true"] } }],
      assignments: [{ journalId: "journal-h1", specIndex: 0 }],
    });
    await h.seen("h1", { journalId: "journal-new" });
    expect((await look()).assignments).toEqual([]);
  });

  it("gives the specs of runs that go on where they are, to an agent that lost its journal too", async () => {
    await using h = await Harness.open(make);
    const [placed, running, over, elsewhere] = [await h.submit(), await h.submit(), await h.submit(), await h.submit()];
    for (const id of [placed, running, over]) await h.place(id);
    await h.place(elsewhere, 1, "h2");
    await h.report(running, 1, RunPhase.RUNNING);
    await h.ended(over);
    await h.seen("h1", { journalId: "journal-new" });
    const specsOf = [placed, running, over, elsewhere].map((taskId) => ({ epoch: h.store.epoch, taskId, attempt: 1 }));
    specsOf.push({ ...specsOf[1]!, attempt: 2 }, { ...specsOf[1]!, epoch: "another" });
    const { assign } = await h.store.lookUpRuns({ hostId: "h1", runs: [], assign: [], specsOf });
    expect(assign!.assignments.map(({ run }) => run!.taskId)).toEqual([placed, running]);
    expect(assign!.specs[0]).toMatchObject({ spec: { command: ["true"] } });
  });

  it("counts tasks by state and what hosts are asked for", async () => {
    await using h = await Harness.open(make);
    const [a, b] = [await h.submit({ cpuMilli: 2_000 }), await h.submit({ cpuMilli: 500 })];
    await h.submit({ user: "bob" });
    const array = await h.submit({ array: { first: 1, last: 10, step: 1, maxLive: 0 } });
    await h.plan([
      [a, 1],
      [b, 1],
      [`${array}.1`, 1, "h2"],
    ]);
    expect((await h.store.countTasks({ user: "ada" })).byState).toMatchObject({ pending: 9, placed: 3 });
    expect((await h.store.countTasks({ user: "" })).byState).toMatchObject({ pending: 10, placed: 3 });
    expect((await h.store.listHosts()).hosts).toMatchObject([
      { id: "h1", used: { cpuMilli: 2_500 }, liveTasks: 2 },
      { id: "h2", used: { cpuMilli: 1_000 }, liveTasks: 1 },
    ]);
    await h.ended(a);
    await h.refused(b);
    await h.report(`${array}.1`, 1, RunPhase.RUNNING, {}, "h2");
    await h.reopen();
    expect((await h.store.countTasks({ user: "ada" })).byState).toMatchObject({
      pending: 10,
      placed: 0,
      running: 1,
      over: 1,
    });
    expect((await h.store.listHosts()).hosts).toMatchObject([
      { id: "h1", used: { cpuMilli: 0 }, liveTasks: 0 },
      { id: "h2", used: { cpuMilli: 1_000 }, liveTasks: 1 },
    ]);
  });

  it("tells who follows output how far the task is", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    expect(await h.store.logState(id)).toEqual({
      attempt: 0,
      over: false,
      archived: false,
      sizes: undefined,
      uid: 20_001,
      gid: 20_001,
    });
    await h.place(id);
    await h.ended(id, 1, { logSizes: { stdoutBytes: 5, stderrBytes: 7 } });
    expect(await h.store.logState(id)).toMatchObject({ attempt: 1, over: true, sizes: { stdout: 5, stderr: 7 } });
    expect(await h.store.logState("999")).toBeUndefined();
  });
}
