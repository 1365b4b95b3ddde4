import { Dependency_Kind, TaskState } from "@berth/contracts/types";
import { aNewTask } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function submitTests(make: MakeDatabase): void {
  it("stores a task as it was wished, and announces it", async () => {
    await using h = await Harness.open(make);
    const token = await h.token();
    const id = await h.submit({
      name: "count",
      project: "words",
      command: ["wc", "-w"],
      env: { LANG: "C" },
      priority: 7,
      cpuMilli: 500,
      memoryBytes: 2 ** 28,
    });
    expect(await h.get(id)).toMatchObject({
      id,
      state: TaskState.PENDING,
      attempt: 0,
      spec: { name: "count", project: "words", command: ["wc", "-w"], env: { LANG: "C" }, priority: 7 },
      identity: { user: "ada", uid: 20_001 },
      createTime: new Date(h.nowMs),
      legacy: { primary: "pending", secondary: "" },
    });
    const { tasks } = await h.changes(token);
    expect(tasks).toMatchObject([
      {
        id,
        user: "ada",
        project: "words",
        name: "count",
        state: TaskState.PENDING,
        priority: 7,
        timeLimitMs: 60_000,
        resources: { cpuMilli: 500, memoryBytes: 2 ** 28 },
        createTime: new Date(h.nowMs),
      },
    ]);
  });

  it("answers only when the task is stored for good", async () => {
    await using h = await Harness.open(make);
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const id = await h.submit();
        return [id, (await h.committed(id))?.id];
      }),
    );
    for (const [id, found] of ids) expect(found).toBe(id);
  });

  it("gives ids that grow and are not used again after it was opened again", async () => {
    await using h = await Harness.open(make);
    const first = (await h.submitAll(Array.from({ length: 600 }, () => aNewTask()))).map(({ taskId }) =>
      Number(taskId),
    );
    expect(first).toEqual(first.toSorted((a, b) => a - b));
    expect(new Set(first).size).toBe(600);
    const epoch = h.store.epoch;
    await h.reopen();
    expect(h.store.epoch).toBe(epoch);
    expect(Number(await h.submit())).toBeGreaterThan(first.at(-1)!);
  });

  it("refuses one task without touching the others", async () => {
    await using h = await Harness.open(make);
    const results = await h.submitAll([
      aNewTask(),
      aNewTask({ dependencies: [{ kind: Dependency_Kind.AFTER, taskId: "999" }] }),
      aNewTask({ array: { first: 3, last: 1, step: 1, maxLive: 0 } }),
      { runSpec: undefined, clientKey: "", admin: false },
      aNewTask(),
    ]);
    expect(results.map(({ failure }) => failure?.reason)).toEqual([
      undefined,
      "DEPENDENCY_NOT_FOUND",
      "INVALID_ARRAY",
      "SPEC_INCOMPLETE",
      undefined,
    ]);
    expect(results.map(({ failure }) => failure?.code)).toEqual([
      undefined,
      "not-found",
      "invalid",
      "invalid",
      undefined,
    ]);
    expect((await h.snapshot()).tasks.map(({ id }) => id)).toEqual([results[0]!.taskId, results[4]!.taskId]);
  });

  it("finds the same task by its key, and refuses another one under it", async () => {
    await using h = await Harness.open(make);
    const wish = { clientKey: "k1", env: { A: "1", B: "2" } };
    const id = await h.submit(wish);
    const again = await h.submitAll([
      aNewTask(wish),
      aNewTask({ ...wish, env: { B: "2", A: "1" } }), // an order that nobody wished
      aNewTask({ ...wish, traceParent: "00-11111111111111111111111111111111-2222222222222222-01" }), // each try has its own
      aNewTask({ ...wish, command: ["false"] }),
      aNewTask({ ...wish, user: "bob" }),
      aNewTask({ ...wish, clientKey: "k2" }),
      aNewTask({ ...wish, clientKey: "k2" }),
    ]);
    for (const same of again.slice(0, 3)) expect(same).toMatchObject({ taskId: id, existing: true });
    expect(again[3]).toMatchObject({
      taskId: "",
      failure: { code: "conflict", reason: "CLIENT_KEY_CONFLICT", metadata: { task_id: id } },
    });
    expect(again[4]).toMatchObject({ existing: false });
    expect(again[4]!.taskId).not.toBe(id);
    expect(again[6]).toMatchObject({ taskId: again[5]!.taskId, existing: true });
    expect((await h.snapshot()).tasks).toHaveLength(3);
  });

  it("keeps a key as long as the task, and one of many that race under it", async () => {
    await using h = await Harness.open(make);
    const ids = await Promise.all(Array.from({ length: 20 }, () => h.submit({ clientKey: "race" })));
    expect(new Set(ids).size).toBe(1);
    await h.kill(ids[0]!);
    await h.reopen();
    expect(await h.submit({ clientKey: "race" })).toBe(ids[0]);
  });

  it("takes dependencies on tasks that exist and are the user's", async () => {
    await using h = await Harness.open(make);
    const mine = await h.submit();
    const array = await h.submit({ array: { first: 1, last: 9, step: 4, maxLive: 0 } });
    const theirs = await h.submit({ user: "bob" });
    const on = (taskId: string, admin = false) =>
      aNewTask({ dependencies: [{ kind: Dependency_Kind.AFTER_OK, taskId }], admin });
    const results = await h.submitAll([
      on(mine),
      on(array),
      on(`${array}.5`),
      on(`${array}.6`),
      on(`${mine}.1`),
      on(theirs),
      on(theirs, true),
      on("nonsense"),
    ]);
    expect(results.map(({ failure }) => failure?.reason)).toEqual([
      undefined,
      undefined,
      undefined,
      "DEPENDENCY_NOT_FOUND",
      "DEPENDENCY_NOT_FOUND",
      "DEPENDENCY_NOT_YOURS",
      undefined,
      "DEPENDENCY_NOT_FOUND",
    ]);
    const row = (await h.snapshot()).tasks.find(({ id }) => id === results[2]!.taskId);
    expect(row?.dependencies).toEqual([{ kind: Dependency_Kind.AFTER_OK, taskId: `${array}.5` }]);
  });

  it("uses an id that was reserved, and does not keep input files beside the spec", async () => {
    await using h = await Harness.open(make);
    const number = await h.store.reserveId();
    const files = [{ path: "in.txt", content: Buffer.from("hello"), executable: false }];
    const [result] = await h.store.submit([{ task: aNewTask({ files }), number }]);
    expect(result).toMatchObject({ taskId: `${number}` });
    expect((await h.get(`${number}`)).spec!.files).toEqual([]);
    const { assignments } = await h.plan([[`${number}`, 1]]);
    expect(assignments[0]!.assign!.specs[0]!.spec!.files).toEqual([]);
    expect(Number(await h.submit())).toBeGreaterThan(number);
  });
}
