import { ListTasksRequest } from "@berth/contracts/store";
import { Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { aNewTask, mulberry32, startCore, until } from "@berth/test-support";
import type { CoreProcesses } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const elements = 3_000;
const kills = process.env["BERTH_TEST_SIZE"] === "slow" ? 25 : 8;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

async function listAll({ store }: CoreProcesses, filter: Partial<ListTasksRequest>): Promise<Task[]> {
  const tasks: Task[] = [];
  let pageToken = "";
  do {
    const page = await store.listTasks({ ...ListTasksRequest.fromPartial({ pageSize: 1_000 }), ...filter, pageToken });
    tasks.push(...page.tasks);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return tasks;
}

describe(`storage killed while arrays are claimed and folded (seed ${seed})`, () => {
  it("has each element once, with its own end, and counts that agree", async () => {
    const random = mulberry32(seed);
    await using core = await startCore({
      hosts: 4,
      env: { BERTH_CAPACITY_CPU: "16", BERTH_CAPACITY_MEMORY: "64G", BERTH_FOLD_AFTER_MS: "0" },
    });
    await until(async () => (await core.store.listHosts({})).hosts.length === 4, "hosts");
    const array = { first: 1, last: elements, step: 1, maxLive: 0 };
    const { results } = await core.store.submit({
      tasks: [
        aNewTask({ array, command: ["sim", "20ms"], cpuMilli: 500 }),
        aNewTask({ array: { ...array, last: 300 }, command: ["sim", "10ms", "exit", "3"], cpuMilli: 500 }),
      ],
    });
    const [good, bad] = results.map(({ taskId }) => taskId) as [string, string];
    const get = async (taskId: string): Promise<Task> => (await core.store.getTask({ taskId, user: "" })).task!;

    let folded = 0;
    let stopped = false;
    const folding = (async () => {
      while (!stopped) {
        const ages = { archiveAfterMs: 1e12, deleteAfterMs: 1e12 };
        folded += await core.store.runHousekeeping(ages).then(
          ({ folded: n }) => n,
          () => 0,
        );
      }
    })();
    // Killed singly before its turn, which comes in the middle of all.
    await core.store.requestTasks({ taskIds: [`${good}.2900`], request: TaskRequest.KILL, user: "ada", admin: false });
    for (let round = 0; round < kills; round++) {
      await new Promise((resolve) => setTimeout(resolve, 50 + random() * 250));
      await core.kill("storage");
      await core.start("storage");
      // An array that has gone far already is not waited for.
      if ((await get(good)).state === TaskState.OVER) break;
    }
    for (const id of [good, bad])
      await until(async () => (await get(id)).state === TaskState.OVER, `array ${id} is over`, 120_000);
    stopped = true;
    await folding;
    expect(folded).toBeGreaterThan(0);

    const whole = await get(good);
    expect(whole).toMatchObject({
      outcome: Outcome.FAILED,
      progress: { total: elements, unclaimed: 0, live: 0, waiting: 0, ended: { succeeded: elements - 1, killed: 1 } },
    });
    const listed = await listAll(core, { arrayId: good });
    expect(listed.map((task) => task.id)).toEqual(Array.from({ length: elements }, (_, i) => `${good}.${i + 1}`));
    expect(listed.filter((task) => task.outcome !== Outcome.SUCCEEDED).map((task) => task.id)).toEqual([
      `${good}.2900`,
    ]);
    expect(listed.reduce((sum, task) => sum + (task.usage?.wallMs ?? 0), 0)).toBe(whole.usage!.wallMs);
    expect((await listAll(core, { arrayId: bad, outcomes: [Outcome.FAILED] })).length).toBe(300);
    expect(await get(`${bad}.300`)).toMatchObject({ exitCode: 3, outcome: Outcome.FAILED });
    const { byState } = await core.store.countTasks({ user: "" });
    expect(byState).toMatchObject({ over: elements + 300, pending: 0, placed: 0 });

    // What a new process finds is the same, folded to the last.
    const ages = { archiveAfterMs: 1e12, deleteAfterMs: 1e12 };
    while ((await core.store.runHousekeeping(ages)).more) continue;
    await core.kill("storage");
    await core.start("storage");
    expect(await listAll(core, { arrayId: good })).toEqual(listed);
  });
});
