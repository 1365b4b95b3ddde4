import { MiB } from "@berth/core";
import { Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { apiOf, getTask, readLog, startCluster, submit, taskWhen, whenOver, whenRunning } from "@berth/test-support";
import type { Api, Prepare, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const small = { cpuMilli: 100, memoryBytes: 32 * MiB };

/** What a user sees of a task's life, with either driver. */
export function describeTaskLife(driver: "process" | "docker", prepare?: Prepare): void {
  describe(`a task's life with the ${driver} driver`, () => {
    let cluster: TestCluster;
    let api: Api;
    beforeAll(async () => {
      cluster = await startCluster({ driver, ...(prepare && { prepare }) });
      api = apiOf(cluster);
    }, 120_000);
    afterAll(async () => {
      api?.close();
      await cluster?.close();
    }, 60_000);

    const kill = async (taskId: string) =>
      (await api.tasks.requestTasks({ taskIds: [taskId], request: TaskRequest.KILL })).results[0]!;

    it("succeeds, with its output, its true times and what it used", async () => {
      const before = Date.now();
      const task = await whenOver(
        api,
        await submit(api, { command: ["sh", "-c", "echo out; echo err >&2; sleep 0.3"], resources: small }),
      );
      expect(task).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED, exitCode: 0, attempt: 1 });
      const [start, end] = [task.startTime!.getTime(), task.endTime!.getTime()];
      expect(start).toBeGreaterThanOrEqual(before);
      expect(end - start).toBeGreaterThanOrEqual(290);
      expect(end).toBeLessThanOrEqual(Date.now());
      expect(task.usage!.wallMs).toBeGreaterThanOrEqual(290);
      expect(await readLog(api, task.id)).toBe("out\n");
      expect(await readLog(api, task.id, "stderr")).toBe("err\n");
    });

    it("runs as the user, not as root, in its own directory", async () => {
      const id = await submit(api, {
        command: ["sh", "-c", 'id -u; pwd; echo x > made-here; cd "$BERTH_TASK_DIR" && ls'],
        resources: small,
      });
      await whenOver(api, id);
      const [uid, folder, ...files] = (await readLog(api, id)).trim().split("\n");
      expect(Number(uid)).toBe(process.getuid?.() === 0 ? 20000 : process.getuid?.());
      expect(folder).toBeTruthy();
      expect(files).toContain("made-here");
      const { entries } = await api.files.listFiles({ taskId: id, path: "" });
      expect(entries.map((e) => e.name)).toContain("made-here");
    });

    it("measures processor time", async () => {
      const task = await whenOver(
        api,
        await submit(api, {
          command: ["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"],
          resources: { ...small, cpuMilli: 1000 },
        }),
        60_000,
      );
      expect(task.outcome).toBe(Outcome.SUCCEEDED);
      expect(task.usage!.cpuMs).toBeGreaterThan(50);
    });

    it("finds what was promised in its environment", async () => {
      const id = await submit(api, {
        command: ["env"],
        env: { MINE: "yes" },
        resources: { cpuMilli: 250, memoryBytes: 64 * MiB },
        array: { first: 3, last: 7, step: 4, maxLive: 0 },
      });
      const done = await whenOver(api, id);
      expect(done.progress!.ended).toEqual({ succeeded: 2 });
      const env = Object.fromEntries(
        (await readLog(api, `${id}.7`))
          .trim()
          .split("\n")
          .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
      );
      expect(env).toMatchObject({
        MINE: "yes",
        BERTH_TASK_ID: `${id}.7`,
        BERTH_ATTEMPT: "1",
        BERTH_ARRAY_INDEX: "7",
        BERTH_ARRAY_FIRST: "3",
        BERTH_ARRAY_LAST: "7",
        BERTH_ARRAY_STEP: "4",
        BERTH_CPUS: "0.25",
        BERTH_MEMORY_BYTES: String(64 * MiB),
        GODOCKER_JID: `${id}.7`,
        GOGOCKER_TASK_ID: "7",
      });
      expect(env["BERTH_TASK_DIR"]).toBeTruthy();
    });

    it("fails with its exit code", async () => {
      const task = await whenOver(api, await submit(api, { command: ["sh", "-c", "exit 42"], resources: small }));
      expect(task).toMatchObject({ outcome: Outcome.FAILED, exitCode: 42, reason: { code: "EXIT_CODE" } });
    });

    it("fails by a signal of its own, and says which", async () => {
      const task = await whenOver(
        api,
        await submit(api, { command: ["sh", "-c", "kill -SEGV $$; sleep 5"], resources: small }),
      );
      expect(task).toMatchObject({ outcome: Outcome.FAILED, signal: 11, reason: { code: "SIGNAL" } });
    });

    it("fails where its command does not exist", async () => {
      const task = await whenOver(api, await submit(api, { command: ["/no/such/program"], resources: small }));
      expect(task).toMatchObject({ outcome: Outcome.FAILED, reason: { code: "COMMAND_NOT_FOUND" } });
    });

    it("times out: TERM first, then KILL after its grace", async () => {
      const polite = await submit(api, {
        command: ["sh", "-c", "trap 'echo goodbye; exit 0' TERM; while :; do sleep 0.05; done"],
        timeLimitMs: 500,
        graceMs: 5000,
        resources: small,
      });
      const stubborn = await submit(api, {
        command: ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
        timeLimitMs: 500,
        graceMs: 700,
        resources: small,
      });
      expect(await whenOver(api, polite)).toMatchObject({ outcome: Outcome.TIMED_OUT, reason: { code: "TIME_LIMIT" } });
      expect(await readLog(api, polite)).toBe("goodbye\n");
      const task = await whenOver(api, stubborn);
      expect(task.outcome).toBe(Outcome.TIMED_OUT);
      expect(task.endTime!.getTime() - task.startTime!.getTime()).toBeGreaterThanOrEqual(1150);
    });

    it("ends as out of memory where it exceeds its limit", async () => {
      const task = await whenOver(
        api,
        await submit(api, {
          command: ["sh", "-c", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done"],
          resources: { cpuMilli: 500, memoryBytes: 24 * MiB },
        }),
        60_000,
      );
      expect(task).toMatchObject({ outcome: Outcome.OUT_OF_MEMORY, reason: { code: "OUT_OF_MEMORY" } });
    });

    it("is rejected where it asks for more than any host has, and says so", async () => {
      const task = await whenOver(
        api,
        await submit(api, { command: ["true"], resources: { cpuMilli: 1_000_000, memoryBytes: 16 * MiB } }),
      );
      expect(task).toMatchObject({ outcome: Outcome.REJECTED, reason: { code: "NO_HOST_LARGE_ENOUGH" }, attempt: 0 });
    });

    it("waits for capacity and says why and where it stands", async () => {
      const { hosts } = await api.hosts.listHosts({});
      const cpuMilli = hosts[0]!.capacity!.cpuMilli;
      const first = await submit(api, { command: ["sleep", "30"], resources: { ...small, cpuMilli } });
      await whenRunning(api, first);
      const second = await submit(api, { command: ["true"], resources: { ...small, cpuMilli } });
      const third = await submit(api, { command: ["true"], resources: { ...small, cpuMilli } });
      const { explanation } = await api.tasks.explainTask({ taskId: third });
      expect(explanation).toMatchObject({ taskId: third, code: "WAITING_FOR_CAPACITY", position: 2, pending: 2 });
      await kill(first);
      expect((await whenOver(api, first)).outcome).toBe(Outcome.KILLED);
      expect((await whenOver(api, second)).outcome).toBe(Outcome.SUCCEEDED);
      expect((await whenOver(api, third)).outcome).toBe(Outcome.SUCCEEDED);
    });

    it("is killed while it waits, at once and without an attempt", async () => {
      const blocker = await submit(api, { command: ["sleep", "30"], resources: small });
      const id = await submit(api, {
        command: ["true"],
        dependencies: [{ kind: "KIND_AFTER", taskId: blocker }],
        resources: small,
      });
      expect(await kill(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
      expect(await getTask(api, id)).toMatchObject({ attempt: 0, reason: { code: "KILLED_BY_USER" } });
      await kill(blocker);
      await whenOver(api, blocker);
    });

    it("is killed while it runs, twice is once, and answers OK when it is over", async () => {
      const id = await submit(api, { command: ["sh", "-c", "sleep 60 & wait"], graceMs: 500, resources: small });
      await whenRunning(api, id);
      expect((await kill(id)).failure).toBeUndefined();
      expect((await kill(id)).failure).toBeUndefined();
      expect(await whenOver(api, id)).toMatchObject({
        outcome: Outcome.KILLED,
        reason: { code: "KILLED_BY_USER" },
        request: TaskRequest.UNSPECIFIED,
      });
      expect(await kill(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    });

    it("is killed right after it was placed", async () => {
      const ids = await Promise.all(
        Array.from({ length: 6 }, () => submit(api, { command: ["sleep", "60"], graceMs: 300, resources: small })),
      );
      await Promise.all(
        ids.map((id) => taskWhen(api, id, (task) => task.state !== TaskState.PENDING).then(() => kill(id))),
      );
      for (const id of ids) expect((await whenOver(api, id)).outcome).toBe(Outcome.KILLED);
    });

    it("can be suspended and goes on", async () => {
      const id = await submit(api, {
        command: ["sh", "-c", "i=0; while [ $i -lt 10 ]; do i=$((i+1)); sleep 0.1; done; echo done"],
        resources: small,
      });
      await whenRunning(api, id);
      await api.tasks.requestTasks({ taskIds: [id], request: TaskRequest.SUSPEND });
      await taskWhen(api, id, (task) => task.state === TaskState.SUSPENDED);
      await api.tasks.requestTasks({ taskIds: [id], request: TaskRequest.RESUME });
      expect((await whenOver(api, id)).outcome).toBe(Outcome.SUCCEEDED);
      expect(await readLog(api, id)).toBe("done\n");
    });

    it("starts after what it depends on, and never after what failed", async () => {
      const first = await submit(api, { command: ["sh", "-c", "sleep 0.2; exit 1"], resources: small });
      const after = await submit(api, {
        command: ["true"],
        dependencies: [{ kind: "KIND_AFTER", taskId: first }],
        resources: small,
      });
      const afterOk = await submit(api, {
        command: ["true"],
        dependencies: [{ kind: "KIND_AFTER_OK", taskId: first }],
        resources: small,
      });
      expect((await api.tasks.explainTask({ taskId: after })).explanation).toMatchObject({
        code: "WAITING_FOR_DEPENDENCY",
        waitsFor: [first],
      });
      expect((await whenOver(api, after)).outcome).toBe(Outcome.SUCCEEDED);
      const never = await whenOver(api, afterOk);
      expect(never).toMatchObject({ outcome: Outcome.DEPENDENCY_FAILED, reason: { code: "DEPENDENCY_FAILED" } });
      expect(never.reason!.message).toContain(first);
    });

    it("runs an array within its limit, and kills what is left of one", async () => {
      const id = await submit(api, {
        command: ["sleep", "0.2"],
        array: { first: 1, last: 8, step: 1, maxLive: 2 },
        resources: small,
      });
      let most = 0;
      const done = await taskWhen(api, id, (task) => {
        most = Math.max(most, task.progress!.live);
        return task.state === TaskState.OVER;
      });
      expect(most).toBeLessThanOrEqual(2);
      expect(done).toMatchObject({
        outcome: Outcome.SUCCEEDED,
        progress: { total: 8, unclaimed: 0, ended: { succeeded: 8 } },
      });

      const long = await submit(api, {
        command: ["sleep", "60"],
        graceMs: 300,
        array: { first: 1, last: 1000, step: 1, maxLive: 3 },
        resources: small,
      });
      await taskWhen(api, long, (task) => task.progress!.live === 3);
      await kill(long);
      expect(await whenOver(api, long)).toMatchObject({
        outcome: Outcome.KILLED,
        progress: { ended: { killed: 1000 } },
      });
    });
  });
}
