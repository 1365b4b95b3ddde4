import { TaskState } from "@berth/contracts/types";
import { aNewTask, natsServerPath, startCore, until } from "@berth/test-support";
import { describe, expect, it } from "vitest";

describe.skipIf(natsServerPath() === undefined && !process.env["CI"])("housekeeping", () => {
  it("is done by the watcher that holds the timers' lease, as configured", async () => {
    await using core = await startCore({
      hosts: 2,
      env: { BERTH_FOLD_AFTER_MS: "0", BERTH_RETENTION_DAYS: "0.00001", BERTH_RETENTION_RECORDS_DAYS: "1" },
    });
    const { results } = await core.store.submit({
      tasks: [aNewTask(), aNewTask({ array: { first: 1, last: 50, step: 1, maxLive: 0 } }), aNewTask({ name: "last" })],
    });
    const state = async (taskId: string) => (await core.store.getTask({ taskId, user: "" })).task!.state;
    const ids = results.map(({ taskId }) => taskId);
    const live = async () => {
      const { byState } = await core.store.countTasks({ user: "" });
      return (byState["pending"] ?? 0) + (byState["placed"] ?? 0) + (byState["running"] ?? 0);
    };
    await until(async () => (await live()) === 0, "all to end");
    // It runs when the watcher takes the lease, and every minute after.
    await core.kill("watcher");
    await core.start("watcher");
    for (const id of ids)
      await until(async () => (await state(id)) === TaskState.ARCHIVED, `task ${id} to be archived`, 40_000);
    expect((await core.store.countTasks({ user: "" })).byState).toMatchObject({ archived: 52, over: 0 });
    expect(await state(`${ids[1]}.7`)).toBe(TaskState.ARCHIVED);
  });
});
