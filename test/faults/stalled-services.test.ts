import { readFileSync, writeFileSync } from "node:fs";
import { serviceNames } from "@berth/local";
import { apiOf, startCluster, submit, until, whenOver, whenRunning } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { Outcome } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";

/** In place of 45 s: what a process may be silent before it is ended. */
const stalledMs = 8_000;

/** A cluster whose supervisor is less patient. */
async function impatientCluster(): Promise<TestCluster> {
  const cluster = await startCluster({ driver: "process" });
  await cluster.down();
  const file = JSON.parse(readFileSync(cluster.layout.clusterFile, "utf8")) as object;
  writeFileSync(cluster.layout.clusterFile, JSON.stringify({ ...file, stalledMs }));
  const up = await cluster.up();
  if (up.code === 0) return cluster;
  await cluster.close();
  throw new Error(up.stderr);
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("services that were stopped and do not go on", () => {
  it("are each started anew by the supervisor, nats-server too; what runs runs on", async () => {
    await using cluster = await impatientCluster();
    const api = apiOf(cluster);
    const pids = new Map(serviceNames.map((name) => [name, cluster.pidOf(name)!]));
    const signalAll = (signal: NodeJS.Signals) => pids.forEach((pid) => process.kill(pid, signal));

    // For a while only, as when a debugger looks: nothing is started anew.
    signalAll("SIGSTOP");
    await wait(stalledMs / 2);
    signalAll("SIGCONT");
    // The supervisor stood still as well, as when the machine slept: that tells nothing.
    const supervisor = cluster.pidOf("supervisor")!;
    process.kill(supervisor, "SIGSTOP");
    signalAll("SIGSTOP");
    await wait(stalledMs * 1.5);
    signalAll("SIGCONT");
    process.kill(supervisor, "SIGCONT");
    await wait(stalledMs / 4);
    for (const [name, pid] of pids) expect(cluster.pidOf(name), name).toBe(pid);

    const id = await submit(api, { script: "sleep 20\n" });
    await whenRunning(api, id);
    const stoppedMs = performance.now();
    signalAll("SIGSTOP");
    for (const [name, pid] of pids)
      await until(() => ![pid, undefined].includes(cluster.pidOf(name)), `another ${name}`, 40_000);
    expect(performance.now() - stoppedMs).toBeGreaterThan(stalledMs - 2_000);
    expect(await whenOver(api, id, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    const next = await submit(api, { command: ["true"] });
    expect(await whenOver(api, next, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED });
    api.close();
  });
});
