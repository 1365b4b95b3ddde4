import { Outcome, TaskState } from "@berth/contracts/types";
import { aNewTask, apiOf, natsServerPath, startCluster, startCore, submit, until, whenOver } from "@berth/test-support";
import { describe, expect, it } from "vitest";

describe.skipIf(natsServerPath() === undefined && !process.env["CI"])("a host that refuses tasks", () => {
  it.each(["TASK_DIR_UNSAFE", "ENGINE_ERROR"])(
    "takes those of other users at once, where one user's are refused for %s",
    async (code) => {
      await using core = await startCore({ hosts: 1, env: { BERTH_CAPACITY_CPU: "4", BERTH_CAPACITY_MEMORY: "4G" } });
      const { store } = core;
      const add = async (user: string, command: string[]) =>
        (await store.submit({ tasks: [aNewTask({ user, command })] })).results[0]!.taskId;
      const get = async (taskId: string) => (await store.getTask({ taskId, user: "" })).task!;
      await until(async () => (await store.listHosts({})).hosts.length > 0, "a host");
      const bad = await add("eve", ["sim", "unable", code]);
      await until(async () => (await get(bad)).attempt >= 3, "three refusals");
      const from = performance.now();
      for (let n = 0; n < 3; n++) {
        const good = await add("ada", ["sim", "0"]);
        await until(async () => (await get(good)).state === TaskState.OVER, "a neighbour's task");
        expect(await get(good)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      }
      expect(performance.now() - from).toBeLessThan(2_000);
      if (code === "ENGINE_ERROR") return;
      await until(async () => (await get(bad)).state === TaskState.OVER, "its end", 60_000);
      expect(await get(bad)).toMatchObject({ outcome: Outcome.FAILED, attempt: 5, reason: { code } });
    },
  );

  it("is used while it has room: many tiny tasks that it gives back at once are one refusal", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const from = performance.now();
    const tiny = { command: ["true"], resources: { cpuMilli: 10, memoryBytes: 2 ** 23 } };
    const id = await submit(api, { ...tiny, array: { first: 1, last: 3_000, step: 1, maxLive: 0 } });
    expect(await whenOver(api, id, 90_000)).toMatchObject({ outcome: Outcome.SUCCEEDED });
    expect(performance.now() - from).toBeLessThan(75_000);
    api.close();
  });
});
