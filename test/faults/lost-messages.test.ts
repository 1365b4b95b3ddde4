import { readFileSync, writeFileSync } from "node:fs";
import { MiB } from "@berth/core";
import { apiOf, Ledger, lossyNatsProxy, startCluster } from "@berth/test-support";
import { describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const tasks = slow ? 200 : 40;

describe("a bus that loses a third of its messages", () => {
  const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

  it(`still brings every task to its end, once (seed ${seed})`, async () => {
    await using cluster = await startCluster({ driver: "process" });
    await cluster.down();
    const settings = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as { natsPort: number };
    const proxy = await lossyNatsProxy({ host: "127.0.0.1", port: settings.natsPort }, 1 / 3, seed);
    writeFileSync(cluster.layout.clusterFile, JSON.stringify({ ...settings, agentNatsUrl: proxy.url }));
    expect((await cluster.up()).code).toBe(0);
    const api = apiOf(cluster);
    const ledger = new Ledger(cluster, api, "lossy", "0.05");
    await ledger.submit(tasks, { cpuMilli: 300, memoryBytes: 16 * MiB });
    await ledger.waitUntilOver(240_000);
    expect(await ledger.faults({ mayLose: false })).toEqual([]);
    expect(proxy.counts.dropped).toBeGreaterThan(10);
    api.close();
    await cluster.close();
    await proxy.close();
  });
});
