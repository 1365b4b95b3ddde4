import { Change, ListTasksRequest } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import { aNewTask, leaderOf, startCore, until } from "@berth/test-support";
import { median, report, round } from "./measure.ts";

/** Kill -9 of the leading scheduler while it places: from its last placement to the first one of the other, as the change feed tells them. */
const rounds = Number(process.argv[2] ?? 5);
const tasks = 12_000;

await using core = await startCore({
  hosts: 4,
  names: ["storage", "scheduler", "scheduler2", "watcher", "sim"],
  env: { BERTH_CAPACITY_CPU: "8", BERTH_CAPACITY_MEMORY: "64G" },
});
/** When the feed reported the placements. */
const placedAt: number[] = [];
const stop = new AbortController();
const { watchToken } = await core.store.listTasks(ListTasksRequest.fromPartial({ pageSize: 1 }));
const reading = (async () => {
  const feed = core.store.changes({ token: watchToken, user: "", tasksOnly: true }, { signal: stop.signal });
  for await (const part of feed) {
    const rows = part.changes.map((bytes) => Change.decode(bytes).row);
    const isPlaced = rows.some((row) => row?.$case === "task" && row.value.state === TaskState.PLACED);
    if (isPlaced) placedAt.push(performance.now());
  }
})().catch((error: unknown) => {
  if (!stop.signal.aborted) throw error;
});
await until(async () => (await core.store.listHosts({})).hosts.length >= 4, "hosts");
for (let n = 0; n < tasks; n += 1_000)
  await core.store.submit({
    tasks: Array.from({ length: 1_000 }, () => aNewTask({ command: ["sim", "200ms"], cpuMilli: 1_000 })),
  });

const gapsMs: number[] = [];
for (let round = 0; round < rounds; round++) {
  const { leader } = await leaderOf(core);
  const seen = placedAt.length;
  await until(() => placedAt.length > seen + 5 + round, "placements by this leader");
  await core.kill(leader);
  // What it committed last may still be on its way to us.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const last = placedAt.at(-1)!;
  const heard = placedAt.length;
  await until(() => placedAt.length > heard, "a placement by the other");
  gapsMs.push(Math.round(placedAt[heard]! - last));
  await core.start(leader);
}
stop.abort();
await reading;
report("takeover", {
  unit: "s",
  median: round(median(gapsMs) / 1000),
  each: gapsMs.map((ms) => round(ms / 1000)),
  leaseMs: 3_000,
  pending: (await core.store.countTasks({ user: "" })).byState["pending"] ?? 0,
  reach: 5,
});
