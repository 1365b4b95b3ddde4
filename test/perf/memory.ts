import { SubmitTasksRequest } from "@berth/contracts/api";
import { apiOf, startCluster } from "@berth/test-support";
import { perSecond, processFigures, report } from "./measure.ts";

/** Memory of each service before and after many tasks on virtual hosts: what ended must not be kept. */
const count = Number(process.argv[2] ?? 200_000);
const warmUp = Math.min(40_000, count);
const steps = 5;
const hosts = 100;
const batch = 1_000;
/** After this long without work V8 has collected the garbage. */
const restMs = Number(process.argv[3] ?? 20_000);
const names = ["gateway", "auth", "storage", "scheduler", "watcher", "agent", "nats"] as const;

await using cluster = await startCluster({ driver: "sim", up: ["--sim-hosts", String(hosts)] });
const api = apiOf(cluster);
while ((await api.hosts.listHosts({})).hosts.length < hosts) await new Promise((resolve) => setTimeout(resolve, 100));

async function run(tasks: number): Promise<void> {
  const over = async () => (await api.hosts.getStatus({})).tasks["over"] ?? 0;
  const wanted = (await over()) + tasks;
  const request = SubmitTasksRequest.fromPartial({
    tasks: Array.from({ length: batch }, () => ({ spec: { command: ["sim", "0ms"], name: "noop" } })),
  });
  for (let i = 0; i < tasks / batch; i++) await api.tasks.submitTasks(request);
  while ((await over()) < wanted) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function megabytes(): Promise<number[]> {
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return names.map((name) => Math.round(processFigures([cluster.pidOf(name)!]).pssBytes / 1e6));
}

await run(warmUp);
const series = [await megabytes()];
const from = performance.now();
for (let step = 0; step < steps; step++) {
  await run(count / steps);
  series.push(await megabytes());
}
const ms = performance.now() - from - steps * restMs;
report("memory", {
  count,
  rate: perSecond(count, ms),
  unit: "MB after the warm-up and after each fifth",
  // Of the last three fifths: what grows for ever grows there, too; caches are full by then.
  bytesPerTask: Object.fromEntries(
    names.map((name, i) => [
      name,
      Math.round(((series.at(-1)![i]! - series.at(-4)![i]!) * 1e6) / ((count / steps) * 3)),
    ]),
  ),
  ...Object.fromEntries(names.map((name, i) => [name, series.map((megabytesOf) => megabytesOf[i])])),
  reach: { bytesPerTask: 50 },
});
api.close();
