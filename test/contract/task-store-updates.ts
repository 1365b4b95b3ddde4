import { Outcome, TaskState } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function updateTests(make: MakeDatabase): void {
  const array = (h: Harness, maxLive: number) => h.submit({ array: { first: 1, last: 9, step: 1, maxLive } });
  const limit = (h: Harness, taskId: string, maxLive: number | undefined, user = "ada", admin = false) =>
    h.store.updateTask({ taskId, user, admin, ...(maxLive === undefined ? {} : { maxLive }) });
  const claim = (h: Harness, id: string, ...some: number[]) =>
    h.plan(some.map((index) => [`${id}.${index}`, 1] as const)).then((answer) => answer.placementRefusals);

  it("raises the limit of an array while it runs, beside the spec that was given", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, 2);
    expect(await claim(h, id, 1, 2, 3)).toEqual(["", "", "ARRAY_LIMIT"]);
    const token = await h.token();
    const task = await limit(h, id, 4);
    expect(task).toMatchObject({ id, spec: { array: { maxLive: 2 } }, progress: { live: 2, maxLive: 4 } });
    expect(await h.committed(id)).toMatchObject({ spec: { array: { maxLive: 2 } }, progress: { maxLive: 4 } });
    const { tasks } = await h.changes(token);
    expect(tasks).toMatchObject([{ id, array: { maxLive: 4 }, progress: { live: 2, maxLive: 4 } }]);
    expect(task.revision).toBeGreaterThan(0);
    expect((await h.snapshot()).tasks.find((row) => row.id === id)).toEqual(tasks[0]);
    expect(await claim(h, id, 3, 4, 5)).toEqual(["", "", "ARRAY_LIMIT"]);
    await h.reopen();
    expect(await claim(h, id, 5)).toEqual(["ARRAY_LIMIT"]);
    await limit(h, id, 0);
    expect(await claim(h, id, 5, 6, 7, 8, 9)).toEqual(["", "", "", "", ""]);
  });

  it("lowers it without stopping what runs", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, 0);
    await claim(h, id, 1, 2, 3);
    await limit(h, id, 1);
    expect(await h.get(id)).toMatchObject({ progress: { live: 3, maxLive: 1 } });
    await h.ended(`${id}.1`);
    await h.ended(`${id}.2`);
    expect(await claim(h, id, 4)).toEqual(["ARRAY_LIMIT"]);
    await h.ended(`${id}.3`);
    expect(await claim(h, id, 4, 5)).toEqual(["", "ARRAY_LIMIT"]);
  });

  it("may be repeated, and says nothing new then", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, 3);
    await limit(h, id, 5);
    const token = await h.token();
    expect(await limit(h, id, 5)).toMatchObject({ progress: { maxLive: 5 } });
    expect(await limit(h, id, undefined)).toMatchObject({ progress: { maxLive: 5 } });
    expect((await h.changes(token)).changes).toEqual([]);
  });

  it("refuses what cannot be", async () => {
    await using h = await Harness.open(make);
    const id = await array(h, 3);
    const single = await h.submit();
    await expect(limit(h, "999", 1)).rejects.toMatchObject({ code: "not-found", reason: "TASK_NOT_FOUND" });
    await expect(limit(h, id, 1, "bob")).rejects.toMatchObject({ code: "denied", reason: "NOT_YOURS" });
    await expect(limit(h, single, 1)).rejects.toMatchObject({ code: "invalid", reason: "NOT_AN_ARRAY" });
    await expect(limit(h, `${id}.1`, 1)).rejects.toMatchObject({ code: "invalid", reason: "NOT_AN_ARRAY" });
    await expect(limit(h, id, -1)).rejects.toMatchObject({ code: "invalid" });
    expect(await limit(h, id, 7, "bob", true)).toMatchObject({ progress: { maxLive: 7 } });
    await h.kill(id);
    expect(await h.get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    await expect(limit(h, id, 8)).rejects.toMatchObject({ code: "precondition", reason: "NOT_LIVE" });
  });
}
