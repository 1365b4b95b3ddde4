import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MiB } from "@berth/core";
import { HostStatus, Outcome, TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import {
  apiOf,
  getTask,
  killKeepers,
  killProcessesOf,
  lossyNatsProxy,
  startCluster,
  startSecondHost,
  submit,
  taskWhen,
  ticker,
  ticksOf,
  until,
  whenOver,
  whenRunning,
} from "@berth/test-support";
import type { Api, LossyProxy, Prepare, TestCluster, Ticks, Wish } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const leaseMs = 10_000;
const marginMs = 12_000;
/** A tick is 0.1 s; a busy machine takes longer. */
const stoppedForMs = 3_000;
/** Of a run that begins again elsewhere: the first has to last until it is frozen, the second only to run to its end. */
const secondTicks = 50;

/** Hosts that vanish and come back, with short leases: one whose network is cut or whose agent is stopped, and another on the same machine. */
export function describeLostHosts(driver: "process" | "docker", prepare?: Prepare): void {
  describe(`a lost host with the ${driver} driver`, () => {
    let cluster: TestCluster;
    let proxy: LossyProxy;
    let other: AsyncDisposable;
    let api: Api;
    let first = "";
    let made = 0;

    beforeAll(async () => {
      cluster = await startCluster({ driver, ...(prepare && { prepare }) });
      expect((await cluster.down()).code).toBe(0);
      const file = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as { natsPort: number; hostId: string };
      first = file.hostId;
      proxy = await lossyNatsProxy({ host: "127.0.0.1", port: file.natsPort }, 0, 1);
      const settings = { watcher: { BERTH_LOSS_MARGIN_MS: String(marginMs) } };
      writeFileSync(cluster.layout.clusterFile, JSON.stringify({ ...file, agentNatsUrl: proxy.url, settings }));
      expect((await cluster.up()).code).toBe(0);
      other = await startSecondHost(cluster, "second");
      api = apiOf(cluster);
      await until(async () => (await api.hosts.listHosts({})).hosts.length === 2, "both hosts to join");
    }, 120_000);

    afterAll(async () => {
      api?.close();
      await cluster?.berth(["kill", "--all"]);
      await other?.[Symbol.asyncDispose]();
      await cluster?.close();
      await proxy?.close();
    }, 60_000);

    const leased = (onHostLost: "ON_HOST_LOST_RETRY" | "ON_HOST_LOST_FAIL"): Wish => ({
      onHostLost,
      hostLeaseMs: leaseMs,
    });
    const ticks = (name: string): string[] => ticksOf(cluster, name);
    const ticksOfAttempt = (name: string, attempt: number): number =>
      ticks(name).filter((line) => line === String(attempt)).length;

    /** Submits until one runs on the first host. What comes to the other meanwhile stays, and so does a quarter of it beside: it is full soon. */
    async function runThere(
      name: string,
      count: number | Ticks,
      more: Wish = {},
    ): Promise<{ id: string; file: string }> {
      const elsewhere: string[] = [];
      const cpuMilli = Math.floor((await api.hosts.listHosts({})).hosts[0]!.capacity!.cpuMilli / 4);
      const quarter: Wish = { script: "sleep 600", resources: { cpuMilli, memoryBytes: 16 * MiB } };
      for (let n = 0; n < 20; n += 1) {
        const file = `${name}-${(made += 1)}`;
        const id = await submit(api, ticker(file, count, more));
        const task = await whenRunning(api, id);
        if (task.hostId === first) {
          for (const wrong of elsewhere) await cluster.berth(["kill", wrong]);
          await until(() => ticks(file).length > 2, "the first ticks");
          return { id, file };
        }
        const filler = await submit(api, quarter);
        if ((await whenRunning(api, filler)).hostId === first) await cluster.berth(["kill", filler]);
        else elsewhere.push(filler);
        elsewhere.push(id);
      }
      throw new Error(`nothing comes to ${first}`);
    }

    async function untilStill(file: string): Promise<number> {
      let before = -1;
      for (const end = Date.now() + 60_000; Date.now() < end;) {
        const now = ticks(file).length;
        if (now === before) return now;
        before = now;
        await new Promise((resolve) => setTimeout(resolve, stoppedForMs));
      }
      throw new Error(`${file} goes on`);
    }

    const isBack = () =>
      until(
        async () => (await api.hosts.listHosts({})).hosts.every(({ status }) => status === HostStatus.UP),
        "the host to be back",
        60_000,
      );

    /** What must hold, for any way in which the host vanished. */
    async function loseAndReturn(vanish: () => void | Promise<void>, comeBack: () => void): Promise<void> {
      const [retry, fail, wait] = [
        await runThere("retry", { first: 250, later: secondTicks }, leased("ON_HOST_LOST_RETRY")),
        await runThere("fail", 5_000, leased("ON_HOST_LOST_FAIL")),
        await runThere("wait", 400),
      ];
      await vanish();
      const stood = await untilStill(retry.file);
      await untilStill(fail.file);
      expect(await getTask(api, retry.id)).toMatchObject({ attempt: 1, state: TaskState.RUNNING });
      const again = await taskWhen(api, retry.id, ({ attempt }) => attempt === 2, 60_000);
      expect(ticksOfAttempt(retry.file, 1)).toBe(stood);
      expect(again.attempts).toMatchObject([
        { attempt: 1, hostId: first, outcome: Outcome.LOST, reason: { code: "HOST_LOST" } },
      ]);
      expect(await whenOver(api, fail.id)).toMatchObject({ outcome: Outcome.LOST, reason: { code: "HOST_LOST" } });
      const waited = ticks(wait.file).length;
      await until(() => ticks(wait.file).length > waited + 3, "the task that waits for its host to go on");
      comeBack();
      await isBack();
      const done: Task = await whenOver(api, retry.id, 120_000);
      expect(done).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 2, hostId: "second" });
      // No step of the first attempt after it was frozen, and every step of the second.
      expect([ticksOfAttempt(retry.file, 1), ticksOfAttempt(retry.file, 2)]).toEqual([stood, secondTicks]);
      expect(await whenOver(api, wait.id, 120_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      expect(ticks(wait.file)).toHaveLength(400);
      await until(async () => {
        const host = (await api.hosts.listHosts({})).hosts.find(({ id }) => id === first);
        return host?.liveTasks === 0 && host.unknownRuns.length === 0;
      }, "the host to have nothing left");
    }

    it("freezes what has a lease, and runs it elsewhere or ends it; the rest goes on", () =>
      loseAndReturn(
        () => proxy.lose(1),
        () => proxy.lose(0),
      ));

    if (driver === "process")
      it("does so though its agent stands still", () => {
        const pid = cluster.pidOf("agent")!;
        return loseAndReturn(
          () => void process.kill(pid, "SIGSTOP"),
          () => void process.kill(pid, "SIGCONT"),
        );
      });

    if (driver === "docker")
      it("does so though its agent is killed meanwhile: what is overdue is frozen by the next one", () =>
        loseAndReturn(
          async () => {
            proxy.lose(1);
            await new Promise((resolve) => setTimeout(resolve, leaseMs / 2));
            await cluster.kill("agent");
          },
          () => proxy.lose(0),
        ));

    if (driver === "process")
      it("runs a task again elsewhere whose run its own host lost", async () => {
        const { id, file } = await runThere("vanished", 60, leased("ON_HOST_LOST_RETRY"));
        const plain = await runThere("plain", 5_000);
        killKeepers(join(cluster.data, "agent", "keepers"));
        for (const run of [id, plain.id]) killProcessesOf(cluster.data, `-${run}-1`);
        const reason = { code: "KEEPER_LOST" };
        expect(await whenOver(api, plain.id)).toMatchObject({ outcome: Outcome.LOST, reason });
        expect(await whenOver(api, id, 60_000)).toMatchObject({
          outcome: Outcome.SUCCEEDED,
          attempt: 2,
          hostId: "second",
          attempts: [{ attempt: 1, hostId: first, outcome: Outcome.LOST, reason }],
        });
        expect(ticksOfAttempt(file, 2)).toBe(60);
      });

    it("lets a frozen run go on where its host is heard again in time", async () => {
      const { id, file } = await runThere("thaw", 200, leased("ON_HOST_LOST_RETRY"));
      proxy.lose(1);
      const stood = await untilStill(file);
      proxy.lose(0);
      await until(() => ticks(file).length > stood, "the run to go on");
      expect(await whenOver(api, id, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1, attempts: [] });
      expect(ticksOfAttempt(file, 1)).toBe(200);
    });

    it("is given up by an operator, who must mean it", async () => {
      const { id, file } = await runThere("operator", 5_000);
      const refused = await cluster.berth(["host", "lost", first, "--yes"]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain("heard of lately");
      expect((await cluster.berth(["host", "lost", first, "--force"])).stderr).toContain("--yes");
      proxy.lose(1);
      await until(
        async () =>
          (await api.hosts.listHosts({})).hosts.find((host) => host.id === first)?.status === HostStatus.SILENT,
        "the host to be silent",
        60_000,
      );
      const lost = await cluster.berth(["host", "lost", first, "--yes"]);
      expect([lost.code, lost.stdout]).toEqual([
        0,
        `${first} is lost: of its tasks, 0 wait for another host and 1 are over as lost\n`,
      ]);
      expect(await getTask(api, id)).toMatchObject({
        state: TaskState.OVER,
        outcome: Outcome.LOST,
        reason: { code: "HOST_DECLARED_LOST" },
      });
      expect((await cluster.berth(["hosts", first])).stdout).toMatch(/^status: +lost since .*declared lost by/m);
      // The agent lives, so its run continues until the agent syncs, and is ended then.
      const going = ticks(file).length;
      await until(() => ticks(file).length > going, "the run to go on");
      proxy.lose(0);
      await isBack();
      await untilStill(file);
    });
  });
}
