import { findProcess } from "@berth/local";
import { runBerth, startCluster } from "@berth/test-support";
import { median, processFigures, report, round, withDescendants } from "./measure.ts";

/** Times of the command, of `berth up`, and what an idle cluster costs. */
await using cluster = await startCluster({ driver: "process" });

async function timed(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 11; i++) {
    const from = performance.now();
    const ran = await runBerth(args, { env: { BERTH_DATA: cluster.data, ...env } });
    times.push(performance.now() - from);
    if (ran.code !== 0) throw new Error(`berth ${args.join(" ")}: ${ran.stderr}`);
  }
  return Math.round(median(times));
}

report("berth-version", { medianMs: await timed(["version"]), reach: 80 });
report("berth-ls", { medianMs: await timed(["ls"]), reach: 200 });

const names = ["supervisor", "gateway", "auth", "storage", "scheduler", "watcher", "agent", "nats"];
const pids = withDescendants(names.flatMap((name) => findProcess(cluster.layout.run, name)?.pid ?? []));
await new Promise((resolve) => setTimeout(resolve, 5_000));
const before = processFigures(pids);
const idleMs = 20_000;
await new Promise((resolve) => setTimeout(resolve, idleMs));
const after = processFigures(pids);
report("idle", {
  corePercent: round(((after.cpuMs - before.cpuMs) / idleMs) * 100),
  pssMb: Math.round(after.pssBytes / 1e6),
  processes: pids.length,
  reach: { corePercent: 2, pssMb: 600 },
});

const ups: number[] = [];
for (let i = 0; i < 5; i++) {
  await cluster.down();
  const from = performance.now();
  await cluster.up();
  ups.push(performance.now() - from);
}
report("berth-up", { medianMs: Math.round(median(ups)), reach: 4000 });
