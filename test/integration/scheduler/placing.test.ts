import { TaskRequest, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { Dependency_Kind, Outcome } from "@berth/contracts/types";
import { aNewTask, natsServerPath, startCore } from "@berth/test-support";
import type { CoreName, CoreProcesses, TaskWishes } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until<T>(what: string, ask: () => Promise<T | undefined | false>, withinMs = 40_000): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(20);
  }
}

async function submit({ store }: CoreProcesses, ...wishes: TaskWishes[]): Promise<string[]> {
  const { results } = await store.submit({ tasks: wishes.map(aNewTask) });
  return results.map(({ taskId, failure }) => {
    if (failure) throw new Error(failure.message);
    return taskId;
  });
}

const get = async ({ store }: CoreProcesses, taskId: string): Promise<Task> =>
  (await store.getTask({ taskId, user: "" })).task!;
const ended = (core: CoreProcesses, taskId: string) =>
  until(
    `task ${taskId} is over`,
    async () => (await get(core, taskId)).state === TaskState.OVER && (await get(core, taskId)),
  );
const hosts = (core: CoreProcesses, count: number) =>
  until(`${count} hosts`, async () => (await core.store.listHosts({})).hosts.length >= count);
const overCount = async ({ store }: CoreProcesses): Promise<number> =>
  (await store.countTasks({ user: "" })).byState["over"] ?? 0;
const why = async ({ schedule }: CoreProcesses, taskId: string) => (await schedule.explain({ taskId })).explanation!;

async function all(core: CoreProcesses): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let pageToken = ""; ;) {
    const page = await core.store.listTasks({
      user: "",
      states: [],
      outcomes: [],
      name: "",
      arrayId: "",
      pageSize: 1000,
      pageToken,
      taskIds: [],
    });
    tasks.push(...page.tasks);
    if (page.nextPageToken === "") return tasks;
    pageToken = page.nextPageToken;
  }
}

describe.skipIf(natsServerPath() === undefined && !process.env["CI"])(
  "placing, with storage, scheduler, watcher and virtual hosts as processes",
  () => {
    it("runs single tasks, arrays and what waits for them", async () => {
      await using core = await startCore({ hosts: 3, env: { BERTH_CAPACITY_CPU: "8", BERTH_CAPACITY_MEMORY: "8G" } });
      await hosts(core, 3);
      const singles = await submit(
        core,
        ...Array.from({ length: 300 }, (_, n) => ({ user: `u${n % 3}`, cpuMilli: 500 * (1 + (n % 2)) })),
      );
      const [array] = await submit(core, {
        array: { first: 1, last: 200, step: 2, maxLive: 5 },
        command: ["sim", "2ms"],
      });
      const [child, never] = await submit(
        core,
        { dependencies: [{ kind: Dependency_Kind.AFTER_OK, taskId: array! }] },
        {
          dependencies: [
            {
              kind: Dependency_Kind.AFTER_OK,
              taskId: (await submit(core, { command: ["sim", "0", "exit", "3"] }))[0]!,
            },
          ],
        },
      );
      expect((await ended(core, child!)).outcome).toBe(Outcome.SUCCEEDED);
      expect((await get(core, array!)).progress).toMatchObject({
        total: 100,
        unclaimed: 0,
        live: 0,
        ended: { succeeded: 100 },
      });
      expect(await ended(core, never!)).toMatchObject({
        outcome: Outcome.DEPENDENCY_FAILED,
        reason: { code: "DEPENDENCY_FAILED" },
      });
      // The parents are over already, and no feed tells of them any more.
      const [late] = await submit(core, {
        admin: true,
        dependencies: [
          { kind: Dependency_Kind.AFTER_OK, taskId: array! },
          { kind: Dependency_Kind.AFTER, taskId: singles[0]! },
        ],
      });
      expect(await ended(core, late!)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      for (const id of singles) expect(await ended(core, id)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    });

    it("says why a task waits, and ends what was killed or can never run", async () => {
      await using core = await startCore({ hosts: 1, env: { BERTH_CAPACITY_CPU: "2", BERTH_CAPACITY_MEMORY: "4G" } });
      await hosts(core, 1);
      const long: TaskWishes = { command: ["sim", "10m"], cpuMilli: 2000 };
      const [running, waiting, second, large] = await submit(
        core,
        long,
        long,
        { ...long, user: "bob" },
        { cpuMilli: 3000 },
      );
      await until("the first runs", async () => (await get(core, running!)).state === TaskState.RUNNING);
      expect(await why(core, waiting!)).toMatchObject({
        code: "WAITING_FOR_CAPACITY",
        position: 1,
        refusals: ["1 host with less than 2 cpu free"],
      });
      expect(await why(core, second!)).toMatchObject({ position: 2 });
      await expect(why(core, running!)).rejects.toMatchObject({ code: "not-found", reason: "NOT_PENDING" });
      expect(await ended(core, large!)).toMatchObject({
        outcome: Outcome.REJECTED,
        reason: { code: "NO_HOST_LARGE_ENOUGH" },
      });
      const from = Date.now();
      await core.store.requestTasks({ taskIds: [running!], request: TaskRequest.KILL, user: "ada", admin: false });
      expect(await ended(core, running!)).toMatchObject({ outcome: Outcome.KILLED });
      expect(Date.now() - from).toBeLessThan(2_000); // its host was woken, and did not wait for its next sync
      await until("the next one runs", async () => (await get(core, waiting!)).state === TaskState.RUNNING);
    });

    it.each<[CoreName[]]>([[["scheduler"]], [["watcher"]], [["storage"]], [["scheduler", "watcher", "storage"]]])(
      "loses and repeats nothing when %s is killed in the midst of it",
      async (names) => {
        await using core = await startCore({ hosts: 4, env: { BERTH_CAPACITY_CPU: "16", BERTH_LEASE_TTL_MS: "1000" } });
        await hosts(core, 4);
        await submit(core, ...Array.from({ length: 600 }, () => ({ command: ["sim", "20ms"] })));
        await submit(core, { array: { first: 1, last: 300, step: 1, maxLive: 0 }, command: ["sim", "20ms"] });
        await until("a third is done", async () => (await overCount(core)) > 300);
        for (const name of names) await core.kill(name);
        expect(await Promise.race([overCount(core).catch(() => 0), pause(50).then(() => 0)])).toBeLessThan(900);
        for (const name of names.toReversed()) await core.start(name);
        await until("all are done", async () => (await all(core)).every(({ state }) => state === TaskState.OVER));
        const tasks = await all(core);
        expect(tasks).toHaveLength(601);
        expect(
          tasks.filter(
            ({ outcome, attempt, progress }) => outcome !== Outcome.SUCCEEDED || (!progress && attempt !== 1),
          ),
        ).toEqual([]);
        expect(tasks.find(({ progress }) => progress)!.progress).toMatchObject({
          ended: { succeeded: 300 },
          live: 0,
          waiting: 0,
        });
      },
    );

    it("has a standby take over from a leader that was killed, under a larger term", async () => {
      await using core = await startCore({ hosts: 1, env: { BERTH_LEASE_TTL_MS: "1000" } });
      await core.start("scheduler2");
      await hosts(core, 1);
      const [first] = await submit(core, {});
      await ended(core, first!);
      expect(core.logOf("scheduler2")).not.toContain('"leading"');
      await core.kill("scheduler");
      const [second] = await submit(core, {});
      expect(await ended(core, second!)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      expect(core.logOf("scheduler2")).toMatch(/"term":2.*"leading"/);
    });
  },
);
