import { ReportAnswer } from "@berth/contracts/agent";
import { Outcome, TaskState } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const { COMMITTED } = ReportAnswer;
/** As the store promises it. */
const unableAtMost = 20;
const byUserAtMost = 4;

export function unableTests(make: MakeDatabase): void {
  it("ends a task or element after too many refusals; refusals blamed on the moment do not count", async () => {
    await using h = await Harness.open(make);
    const task = await h.submit();
    const array = await h.submit({ array: { first: 1, last: 2, step: 1, maxLive: 0 } });
    for (const id of [task, `${array}.1`]) {
      let attempt = 0;
      const refused = async (code: string) => {
        expect(await h.place(id, (attempt += 1))).toBe("");
        expect(await h.refused(id, attempt, code)).toBe(COMMITTED);
      };
      await refused("OVER_CAPACITY");
      for (let n = 0; n < unableAtMost; n++) await refused("ENGINE_BROKEN");
      expect(await h.get(id)).toMatchObject({ state: TaskState.PENDING, attempt: unableAtMost + 1 });
      await refused("OVER_CAPACITY");
      expect(await h.get(id)).toMatchObject({ state: TaskState.PENDING });
      await refused("ENGINE_BROKEN");
      expect(await h.refused(id, attempt, "ENGINE_BROKEN")).toBe(COMMITTED); // its answer was lost
      const over = await h.committed(id);
      expect(over).toMatchObject({ state: TaskState.OVER, outcome: Outcome.FAILED, reason: { code: "ENGINE_BROKEN" } });
      expect(over?.reason?.message).toContain(`${unableAtMost} times`);
      expect(over?.attempts).toHaveLength(unableAtMost + 2);
    }
    expect(await h.get(array)).toMatchObject({ progress: { live: 0, waiting: 0, unclaimed: 1, ended: { failed: 1 } } });
    expect((await h.store.listHosts()).hosts.find(({ id }) => id === "h1")).toMatchObject({ liveTasks: 0 });
  });

  it("ends a task sooner that its own user's doing keeps from starting", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    for (let attempt = 1; attempt <= byUserAtMost; attempt++) {
      expect(await h.place(id, attempt)).toBe("");
      expect(await h.refused(id, attempt, "TASK_DIR_UNSAFE")).toBe(COMMITTED);
    }
    expect(await h.get(id)).toMatchObject({ state: TaskState.PENDING });
    expect(await h.place(id, byUserAtMost + 1)).toBe("");
    expect(await h.refused(id, byUserAtMost + 1, "TASK_DIR_UNSAFE")).toBe(COMMITTED);
    const over = await h.committed(id);
    expect(over).toMatchObject({ outcome: Outcome.FAILED, reason: { code: "TASK_DIR_UNSAFE" } });
    expect(over?.reason?.message).toContain(`${byUserAtMost} times`);
  });

  it("lets a kill be a kill, also where a task would end as one that no host can start", async () => {
    await using h = await Harness.open(make);
    const id = await h.submit();
    for (let attempt = 1; attempt <= unableAtMost; attempt++) {
      expect(await h.place(id, attempt)).toBe("");
      expect(await h.refused(id, attempt, "ENGINE_BROKEN")).toBe(COMMITTED);
    }
    expect(await h.place(id, unableAtMost + 1)).toBe("");
    await h.kill(id);
    expect(await h.refused(id, unableAtMost + 1, "ENGINE_BROKEN")).toBe(COMMITTED);
    expect(await h.committed(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
  });
}
