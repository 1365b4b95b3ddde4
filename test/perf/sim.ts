import { SubmitTasksRequest } from "@berth/contracts/api";
import { apiOf, startCluster, startSecondCopy } from "@berth/test-support";
import { perSecond, processFigures, report } from "./measure.ts";

/** No-op single tasks, submitted in batches, over virtual hosts that each have their own subjects and messages; every service a process of its own, two watchers. */
const count = Number(process.argv[2] ?? 20_000);
const hosts = Number(process.argv[3] ?? 1000);
const batch = 1000;
const names = ["gateway", "auth", "storage", "scheduler", "watcher", "agent", "nats"] as const;

await using cluster = await startCluster({ driver: "sim", up: ["--sim-hosts", String(hosts)] });
await using second = await startSecondCopy(cluster.pidOf("watcher")!);
const api = apiOf(cluster);
while ((await api.hosts.listHosts({})).hosts.length < hosts) await new Promise((resolve) => setTimeout(resolve, 100));

async function run(tasks: number): Promise<number> {
  const before = (await api.hosts.getStatus({})).tasks["over"] ?? 0;
  const from = performance.now();
  const request = SubmitTasksRequest.fromPartial({
    tasks: Array.from({ length: batch }, () => ({ spec: { command: ["sim", "0ms"], name: "noop" } })),
  });
  for (let i = 0; i < tasks / batch; i++) await api.tasks.submitTasks(request);
  for (;;) {
    const over = (await api.hosts.getStatus({})).tasks["over"] ?? 0;
    if (over - before >= tasks) return performance.now() - from;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

await run(2000);
const pids = [...names.map((name) => cluster.pidOf(name)!), second.pid];
const cpuBefore = pids.map((pid) => processFigures([pid]).cpuMs);
const ms = await run(count);
const cpuUs = Object.fromEntries(
  [...names, "watcher2"].map((name, i) => [
    name,
    Math.round(((processFigures([pids[i]!]).cpuMs - cpuBefore[i]!) * 1000) / count),
  ]),
);
report("noop-sim", {
  count,
  hosts,
  rate: perSecond(count, ms),
  unit: "tasks/s",
  cpuUsPerTask: cpuUs,
  reach: 3000,
  anchor: "Nomad 780, Slurm 500 placements/s (published)",
});
api.close();
