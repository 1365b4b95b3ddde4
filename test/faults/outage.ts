import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { MiB } from "@berth/core";
import { Outcome } from "@berth/contracts/types";
import { apiOf, getTask, readLog, startCluster, submit, until, whenOver, whenRunning } from "@berth/test-support";
import type { Prepare, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const outageMs = slow ? 120_000 : 20_000;
const small = { cpuMilli: 100, memoryBytes: 32 * MiB };

/** The control plane goes away under a running task. */
export function describeOutage(driver: "process" | "docker", prepare?: Prepare): void {
  describe(`an outage of the control plane with the ${driver} driver`, () => {
    let cluster: TestCluster;
    beforeAll(async () => void (cluster = await startCluster({ driver, ...(prepare && { prepare }) })), 120_000);
    afterAll(() => cluster?.close(), 60_000);

    /** Ticks into a file outside Berth, so that a pause or a second start would show. */
    const ticker = (name: string, ticks: number) => ({
      script: `echo "start $BERTH_ATTEMPT" >> "$BERTH_VOLUME_SCRATCH/${name}"
i=0
while [ $i -lt ${ticks} ]; do i=$((i+1)); sleep 0.5; echo $i >> "$BERTH_VOLUME_SCRATCH/${name}"; done
echo finished
exit 5
`,
      volumes: [{ name: "scratch" }],
      resources: small,
    });
    const ticks = (name: string) =>
      readFileSync(join(cluster.data, "scratch", name), "utf8")
        .trim()
        .split("\n");

    it("harms no running task: the same attempt goes on and its result arrives", async () => {
      let api = apiOf(cluster);
      const id = await submit(api, ticker("outage", (outageMs / 500) * 1.5));
      await whenRunning(api, id);
      expect((await cluster.down()).code).toBe(2);
      expect((await cluster.down("--keep")).code).toBe(0);
      expect(cluster.pidOf("storage")).toBeUndefined();
      expect(cluster.pidOf("agent")).toBeDefined();
      const before = ticks("outage").length;
      await new Promise((resolve) => setTimeout(resolve, outageMs));
      expect(ticks("outage").length).toBeGreaterThan(before + outageMs / 1000);
      expect((await cluster.up()).code).toBe(0);
      api.close();
      api = apiOf(cluster);
      const task = await whenOver(api, id, outageMs + 60_000);
      expect(task).toMatchObject({ attempt: 1, outcome: Outcome.FAILED, exitCode: 5 });
      expect(ticks("outage").filter((line) => line.startsWith("start"))).toEqual(["start 1"]);
      expect(await readLog(api, id)).toBe("finished\n");
      api.close();
    });

    it("with an empty database afterwards, the task runs on, is shown as unknown, and is not confused with the new task of its number", async () => {
      let api = apiOf(cluster);
      const id = await submit(api, ticker("unknown", 60));
      await whenRunning(api, id);
      const ran = await cluster.down("--keep");
      expect(ran.code).toBe(0);
      renameSync(join(cluster.data, "storage"), join(cluster.data, "storage.old"));
      expect((await cluster.up()).code).toBe(0);
      api.close();
      api = apiOf(cluster);
      await until(
        async () => (await api.hosts.listHosts({})).hosts[0]?.unknownRuns.some((run) => run.taskId === id) ?? false,
        "the run to be shown as unknown",
      );
      const before = ticks("unknown").length;
      // The new database counts from 1 again: one of these has the number of the run that is still there.
      const fresh: string[] = [];
      while (!fresh.includes(id))
        fresh.push(await submit(api, { command: ["sh", "-c", "echo new"], resources: small }));
      expect(await whenOver(api, id)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      expect(await readLog(api, id)).toBe("new\n");
      await until(() => ticks("unknown").length > before + 2, "the unknown run to go on");
      expect(ticks("unknown").filter((line) => line.startsWith("start"))).toEqual(["start 1"]);
      await until(() => ticks("unknown").includes("60"), "the unknown run to end by itself", 60_000);
      expect((await getTask(api, id)).exitCode).toBe(0);
      api.close();
    });
  });
}
