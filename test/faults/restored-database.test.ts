import { readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { MiB, runName } from "@berth/core";
import { Outcome, TaskState } from "@berth/contracts/types";
import type { Run } from "@berth/contracts/types";
import { apiOf, getTask, startCluster, submit, until, whenOver, whenRunning } from "@berth/test-support";
import type { Wish } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const leaseMs = 10_000;

/** A database that is put back from a copy knows nothing of what happened since. */
describe("a database restored from a copy", () => {
  it("begins a new epoch: runs known to the copy end as lost, and what runs on hosts continues and is shown", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const storage = join(cluster.data, "storage");
    let api = apiOf(cluster);
    const ticker = (name: string, more: Wish = {}): Wish => ({
      script: `while :; do sleep 0.1; echo "$BERTH_ATTEMPT" >> "$BERTH_VOLUME_SCRATCH/${name}"; done\n`,
      volumes: [{ name: "scratch" }],
      resources: { cpuMilli: 100, memoryBytes: 16 * MiB },
      ...more,
    });
    const ticks = (name: string) => readFileSync(join(cluster.data, "scratch", name), "utf8").length;
    const host = async () => (await api.hosts.listHosts({})).hosts[0]!;
    const goesOn = async (name: string) => {
      const before = ticks(name);
      await until(() => ticks(name) > before + 10, `${name} to go on`);
    };

    const wait = await submit(api, ticker("wait"));
    const retry = await submit(api, ticker("retry", { onHostLost: "ON_HOST_LOST_RETRY", hostLeaseMs: leaseMs }));
    for (const id of [wait, retry]) await whenRunning(api, id);
    const live = new DatabaseSync(join(storage, "storage.db"), { readOnly: true });
    await backup(live, join(cluster.data, "copy.db"));
    live.close();
    const since = await submit(api, { command: ["true"] });
    await whenOver(api, since);

    expect((await cluster.down("--keep")).code).toBe(0);
    for (const name of ["storage.db-wal", "storage.db-shm"]) rmSync(join(storage, name), { force: true });
    renameSync(join(cluster.data, "copy.db"), join(storage, "storage.db"));
    expect((await cluster.up()).code).toBe(0);
    api.close();
    api = apiOf(cluster);

    for (const id of [wait, retry])
      expect(await getTask(api, id)).toMatchObject({
        state: TaskState.OVER,
        outcome: Outcome.LOST,
        reason: { code: "DATABASE_RESTORED" },
        attempt: 1,
      });
    await expect(api.tasks.getTask({ taskId: since })).rejects.toThrow("NOT_FOUND");
    const fresh = await submit(api, { command: ["true"] });
    expect(Number(fresh)).toBeGreaterThan(Number(since));
    expect(await whenOver(api, fresh)).toMatchObject({ outcome: Outcome.SUCCEEDED });

    // They run on, past the lease of the one that had one: nobody runs its task again.
    await until(async () => (await host()).unknownRuns.length === 2, "both runs to be shown as unknown");
    await new Promise((resolve) => setTimeout(resolve, leaseMs));
    for (const name of ["wait", "retry"]) await goesOn(name);
    const { unknownRuns, used, id: hostId } = await host();
    expect(unknownRuns.map(({ taskId }) => taskId).toSorted()).toEqual([wait, retry].toSorted());
    expect(used?.cpuMilli).toBe(200);
    const shown = (await cluster.berth(["hosts", hostId])).stdout;
    for (const run of unknownRuns) expect(shown).toContain(runName(run));
    expect((await cluster.berth(["hosts"])).stdout).toContain("2 unknown runs");

    // Only somebody at the host ends them; then they are gone from the list.
    for (const run of unknownRuns) killByHand(run);
    await until(async () => (await host()).unknownRuns.length === 0, "the runs to be gone from the list");
    expect((await host()).used?.cpuMilli).toBe(0);
    api.close();
  });
});

/** As an operator does who finds the run's name in `berth hosts`. */
function killByHand(run: Run): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, "latin1").includes(`BERTH_RUN=${runName(run)}\0`))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // gone
    }
  }
}
