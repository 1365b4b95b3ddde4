import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "@berth/local";
import type { KnownProcess } from "@berth/local";
import { MiB } from "@berth/core";
import { apiOf, Ledger, mulberry32, startCluster, until } from "@berth/test-support";
import type { Prepare, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const victims = [
  "gateway",
  "auth",
  "storage",
  "scheduler",
  "watcher",
  "agent",
  "keeper",
  "nats",
  "supervisor",
] as const;
const moments = 3;
const leastRunning = 4;
const leastWaiting = 50;

/** Kill -9 of any one process, at random moments while tasks run and wait: all end once, with the right code. */
export function describeKill9(driver: "process" | "docker", prepare?: Prepare): void {
  const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);
  describe(`kill -9 with the ${driver} driver (seed ${seed})`, () => {
    const random = mulberry32(seed);
    let cluster: TestCluster;
    beforeAll(async () => void (cluster = await startCluster({ driver, ...(prepare && { prepare }) })), 120_000);
    afterAll(() => cluster?.close(), 60_000);

    for (const victim of victims.filter((name) => driver === "process" || name !== "keeper")) {
      it(`of ${victim}: every task ends once, with its own code`, async () => {
        const api = apiOf(cluster);
        const ledger = new Ledger(
          cluster,
          api,
          `${victim}-${Math.floor(random() * 1e9)}`,
          driver === "docker" ? "0.3" : "0.2",
        );
        const resources = { cpuMilli: 300, memoryBytes: 16 * MiB };
        for (let moment = 0; moment < moments; moment++) {
          if (slow) await ledger.submit(Math.ceil(200 / moments), resources);
          await new Promise((resolve) => setTimeout(resolve, random() * 150));
          // The moment is one at which enough runs and enough waits; between two looks both may change.
          await until(async () => {
            const { running, waiting } = await ledger.counts();
            if (waiting < leastWaiting) await ledger.submit(leastWaiting + 15 - waiting, resources);
            return running >= leastRunning && waiting >= leastWaiting;
          }, `${leastRunning} running and ${leastWaiting} waiting tasks`);
          if (victim === "keeper") await killKeepers(cluster);
          else await cluster.kill(victim);
          if (victim === "supervisor") expect((await cluster.up()).code).toBe(0);
          else if (victim !== "keeper") await until(() => cluster.pidOf(victim) !== undefined, `${victim} to be back`);
        }
        await ledger.waitUntilOver();
        expect(await ledger.faults({ mayLose: victim === "keeper" })).toEqual([]);
        api.close();
      });
    }
  });
}

/** Kills the processes that start tasks and wait for them. */
async function killKeepers(cluster: TestCluster): Promise<void> {
  const folder = join(cluster.data, "agent", "keepers");
  const alive = (): KnownProcess[] =>
    readdirSync(folder)
      .map((entry) => join(folder, entry, "keeper.pid"))
      .filter((file) => existsSync(file))
      .map((file) => JSON.parse(readFileSync(file, "utf8")) as KnownProcess)
      .filter(isAlive);
  await until(() => alive().length > 0, "a keeper");
  for (const { pid } of alive()) process.kill(pid, "SIGKILL");
}
