import { fifoRanking } from "@berth/plugins";
import { brokenInvariant, planCycle, policyWith, Queue } from "@berth/scheduler";
import type { FeedRow, TaskFacts } from "@berth/scheduler";
import { perSecond, report, round } from "./measure.ts";

/** The planner alone, in memory: a million tasks of a thousand users over ten thousand hosts, each task through pending, placed and over. */
const tasks = Number(process.argv[2] ?? 1_000_000);
const hosts = Number(process.argv[3] ?? 10_000);
const users = Number(process.argv[4] ?? 1_000);
const GiB = 2 ** 30;
let revision = 0;

const taskRow = (number: number, facts: Partial<TaskFacts>): FeedRow => ({
  kind: "task",
  task: {
    id: `${number}`,
    revision: ++revision,
    user: `user-${number % users}`,
    project: "default",
    state: "pending",
    attempt: 0,
    hostId: "",
    reason: "",
    outcome: undefined,
    needs: { cpuMilli: 1000 * (1 + (number % 4)), memoryBytes: GiB * (1 + (number % 3)) },
    priority: 0,
    dependencies: [],
    createdAtMs: 0,
    array: undefined,
    avoidHosts: [],
    ...facts,
  },
});

const queue = new Queue();
for (let n = 0; n < hosts; n++) {
  const capacity = { cpuMilli: 64_000, memoryBytes: 256 * GiB };
  queue.apply(
    {
      kind: "host",
      host: {
        id: `host-${n}`,
        revision: ++revision,
        up: true,
        journalId: "j",
        capacity,
        unknownUse: { cpuMilli: 0, memoryBytes: 0 },
        features: [],
      },
    },
    0,
  );
}
global.gc?.();
const heapBefore = process.memoryUsage().heapUsed;
let from = performance.now();
for (let number = 1; number <= tasks; number++) queue.apply(taskRow(number, {}), 0);
const loadMs = performance.now() - from;
global.gc?.();
const bytesPerTask = (process.memoryUsage().heapUsed - heapBefore) / tasks;

const policy = policyWith(fifoRanking());
const cycles: number[] = [];
let planMs = 0;
let feedMs = 0;
let placed = 0;
const running: { id: number; hostId: string }[] = [];
while (placed < tasks) {
  from = performance.now();
  const plan = planCycle(queue, policy, 1_000_000, Math.random);
  queue.hold(plan);
  queue.settle(plan, { placementRefusals: [], endRefusals: [] }, 0);
  cycles.push(performance.now() - from);
  planMs += cycles.at(-1)!;
  from = performance.now();
  for (const { record, host, attempt } of plan.placements) {
    queue.apply(taskRow(record.number, { state: "placed", attempt, hostId: host.id }), 0);
    running.push({ id: record.number, hostId: host.id });
  }
  placed += plan.placements.length;
  // The cluster is kept full: so many end as fill one cycle.
  if (plan.placements.length < policy.limits.maxPlacements) {
    for (const { id, hostId } of running.splice(0, policy.limits.maxPlacements))
      queue.apply(taskRow(id, { state: "over", attempt: 1, hostId, outcome: "succeeded" }), 0);
  }
  feedMs += performance.now() - from;
}
const broken = brokenInvariant(queue);
if (broken) throw new Error(broken);
const sorted = cycles.toSorted((a, b) => a - b);
report("planner", {
  tasks,
  hosts,
  users,
  placementsPerSecond: perSecond(placed, planMs),
  usPerPlacement: round((planMs * 1000) / placed),
  usPerTaskOfFeed: round(((feedMs + loadMs) * 1000) / placed),
  bytesPerPendingTask: Math.round(bytesPerTask),
  cycles: cycles.length,
  cycleMs: { median: round(sorted[sorted.length >> 1]!), max: round(sorted.at(-1)!) },
  anchor: "a bare loop with indexed best fit: 2,000,000 placements/s; scoring all pending each cycle: 2,800",
});
