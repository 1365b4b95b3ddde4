import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { apiOf, keepersIn, startCluster } from "@berth/test-support";
import { perSecond, processFigures, report, round } from "./measure.ts";

/** No-op tasks of one array with the process driver until all are over, beside `xargs -n1 -P4 /bin/true` in the same run, in turns. */
const count = Number(process.argv[2] ?? 5000);
const rounds = 3;

await using cluster = await startCluster({ driver: "process" });
const api = apiOf(cluster);
const names = ["gateway", "auth", "storage", "scheduler", "watcher", "agent", "nats"] as const;

const usOf = (ms: number): number => Math.round((ms * 1000) / count);

function xargs(): { ms: number; cpuUs: number } {
  const folder = mkdtempSync(join(tmpdir(), "xargs-"));
  writeFileSync(join(folder, "in"), `${Array.from({ length: count }, (_, i) => i).join("\n")}\n`);
  const before = processFigures([process.pid]).endedMs;
  const from = performance.now();
  spawnSync("sh", ["-c", `xargs -n1 -P4 /bin/true < ${join(folder, "in")}`]);
  const ms = performance.now() - from;
  rmSync(folder, { recursive: true });
  return { ms, cpuUs: usOf(processFigures([process.pid]).endedMs - before) };
}

async function berth(): Promise<{ ms: number; cpuUs: Record<string, number> }> {
  const pids = names.map((name) => cluster.pidOf(name)!);
  const keepers = keepersIn(join(cluster.data, "agent", "keepers")).map(({ pid }) => pid);
  const before = pids.map((pid) => processFigures([pid]).cpuMs);
  const keptBefore = processFigures(keepers);
  const from = performance.now();
  const { taskId } = await api.tasks.submitTask(
    SubmitTaskRequest.fromPartial({
      spec: { command: ["/bin/true"], array: { first: 1, last: count, step: 1, maxLive: 0 } },
    }),
  );
  let task: Task | undefined;
  while (task?.state !== TaskState.OVER) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    ({ task } = await api.tasks.getTask({ taskId }));
  }
  // Looking less often costs the others less: the end is the one that was stored, by the same machine's clock.
  const ms = performance.now() - from - (Date.now() - task.endTime!.getTime());
  if (task.progress?.ended["succeeded"] !== count) throw new Error(`not all succeeded: ${JSON.stringify(task)}`);
  const cpuUs: Record<string, number> = Object.fromEntries(
    names.map((name, i) => [name, usOf(processFigures([pids[i]!]).cpuMs - before[i]!)]),
  );
  // A keeper's children are the tasks themselves: their exec and their exit.
  const kept = processFigures(keepers);
  cpuUs["keeper"] = usOf(kept.cpuMs - keptBefore.cpuMs);
  cpuUs["tasks"] = usOf(kept.endedMs - keptBefore.endedMs);
  return { ms, cpuUs };
}

xargs();
await berth();
const ratios: number[] = [];
for (let i = 0; i < rounds; i++) {
  const alone = xargs();
  const anchor = perSecond(count, alone.ms);
  const ran = await berth();
  const rate = perSecond(count, ran.ms);
  ratios.push(rate / anchor);
  report("noop-process", {
    count,
    rate,
    xargs: anchor,
    ratio: round(rate / anchor),
    cpuUsPerTask: { ...ran.cpuUs, ofXargs: alone.cpuUs },
    reach: 0.65,
  });
}
report("noop-process-median", { count, ratio: round(ratios.toSorted((a, b) => a - b)[1] ?? NaN), reach: 0.65 });
api.close();
