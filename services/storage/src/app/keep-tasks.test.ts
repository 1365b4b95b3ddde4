import { describe, expect, it } from "vitest";
import { keepTasks } from "./keep-tasks.ts";

/** A store in which that many tasks are due, and files whose removal a test holds back or lets fail. */
function setUp(due: string[]) {
  const did: string[] = [];
  const stuck: string[] = [];
  const scene = { did, due, stuck, fail: "", gate: Promise.resolve() };
  const keep = keepTasks(
    {
      fold: async () => ({ done: 3, more: false }),
      expired: async (_, limit) => scene.due.slice(0, limit),
      async archive(ids) {
        did.push(`archive ${ids.join()}`);
        scene.due = scene.due.filter((id) => !ids.includes(id));
        return ids.length;
      },
      deleteRecords: async () => ({ done: 0, more: false }),
    },
    {
      async clean(id) {
        await scene.gate;
        if (id === scene.fail) throw new Error("busy");
        did.push(`clean ${id}`);
      },
    },
    (id) => stuck.push(id),
  );
  return { scene, ask: () => keep({ archiveAfterMs: 1, deleteAfterMs: 2 }) };
}

describe("keepTasks", () => {
  it("removes files before it says that they are gone", async () => {
    const { scene, ask } = setUp(["1", "2"]);
    expect(await ask()).toEqual({ folded: 3, archived: 2, deleted: 0, more: false });
    expect(scene.did).toEqual(["clean 1", "clean 2", "archive 1,2"]);
  });

  it("archives nothing whose files did not go, and lets the others not wait for it", async () => {
    const { scene, ask } = setUp(["1", "2", "3"]);
    scene.fail = "2";
    expect(await ask()).toMatchObject({ archived: 2, more: false });
    expect(scene.did).toEqual(["clean 1", "clean 3", "archive 1,3"]);
    expect(scene.stuck).toEqual(["2"]);
    scene.fail = "";
    expect(await ask()).toMatchObject({ archived: 1 });
  });

  it("does one step at a time, whoever asks meanwhile", async () => {
    const { scene, ask } = setUp(["1"]);
    const gate = Promise.withResolvers<void>();
    scene.gate = gate.promise;
    const both = [ask(), ask()];
    gate.resolve();
    expect(await Promise.all(both)).toEqual([
      { folded: 3, archived: 1, deleted: 0, more: false },
      { folded: 3, archived: 1, deleted: 0, more: false },
    ]);
    expect(scene.did).toEqual(["clean 1", "archive 1"]);
    expect(await ask()).toMatchObject({ archived: 0 });
  });

  it("says that more is due after a whole lot", async () => {
    const { ask } = setUp(Array.from({ length: 201 }, (_, i) => `${i + 1}`));
    expect(await ask()).toMatchObject({ archived: 200, more: true });
    expect(await ask()).toMatchObject({ archived: 1, more: false });
  });
});
