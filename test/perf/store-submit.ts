import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunPhase } from "@berth/contracts/agent";
import { TaskStoreServiceService } from "@berth/contracts/store";
import type { CommitPlanResponse, NewTask } from "@berth/contracts/store";
import { openSqlite } from "@berth/database";
import { Closing, bindService, grpcChannel, grpcClient, serveGrpc, silentLogger } from "@berth/runtime";
import { diskFileStore, migrations, sqliteTaskStore, taskStoreService } from "@berth/storage";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { perSecond, report } from "./measure.ts";

/** The store alone: what a submit, and a short task's whole life (submitted, placed, over), costs it; in its own process, and over gRPC. */
const dir = mkdtempSync(join(tmpdir(), "berth-store-perf-"));
const closing = new Closing();
let submitted = 0;
closing.add(() => rmSync(dir, { recursive: true, force: true }));
try {
  const db = openSqlite(join(dir, "storage.db"), { migrations });
  const store = sqliteTaskStore(db, { now: Date.now });
  closing.add(() => store.close());

  const task = aNewTask({ command: ["sh", "-c", "echo hello"], env: { LANG: "C" } });
  const batch = (n: number) => Array.from({ length: n }, () => task);
  const submit = async (tasks: readonly NewTask[]) =>
    checked(await store.submit(tasks.map((each) => ({ task: each, number: 0 }))), tasks.length);

  await submit(batch(2_000));
  await measure("store-submit-batched-1000", 40_000, async () => {
    for (let i = 0; i < 40; i++) await submit(batch(1_000));
  });
  await measure("store-submit-single-64-in-flight", 20_000, () => inFlight(64, 20_000, () => submit([task])));
  await lives(20_000, 250, 100);

  const server = await serveGrpc({
    admit: () => ({ user: "a test" }),
    address: `unix:${join(dir, "s.sock")}`,
    services: [bindService(TaskStoreServiceService, taskStoreService(store, diskFileStore(join(dir, "files"))))],
    logger: silentLogger,
    closing,
  });
  const channel = grpcChannel(server.address, { closing });
  const client = grpcClient(TaskStoreServiceService, channel, { service: "perf" });
  const request = { tasks: [task] };
  const submitOverGrpc = async () => checked((await client.submit(request)).results, 1);
  await inFlight(64, 1_000, submitOverGrpc);
  await measure("store-grpc-submit-single-64-in-flight", 20_000, () => inFlight(64, 20_000, submitOverGrpc));
  await measure("store-grpc-submit-batched-1000", 40_000, async () => {
    for (let i = 0; i < 40; i++) checked((await client.submit({ tasks: batch(1_000) })).results, 1_000);
  });
  const stored = Number(db.sql("SELECT count(*) AS n FROM tasks WHERE idx = -1").get()?.["n"]);
  if (stored !== submitted) throw new Error(`${submitted} submits were acknowledged, ${stored} tasks are stored`);

  const from = performance.now();
  let rows = 0;
  for await (const part of store.snapshot(new AbortController().signal)) rows += part.changes.length;
  report("store-snapshot", { rate: perSecond(rows, performance.now() - from), unit: "rows/s", rows });

  async function lives(total: number, atOnce: number, hostCount: number): Promise<void> {
    const hosts = Array.from({ length: hostCount }, (_, i) => aHost(`h${i}`));
    await store.syncHosts({ hosts, silentHostIds: [], silentAfterMs: 0 });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "perf", ttlMs: 60_000 });
    let placing = 0;
    let ending = 0;
    const fromMs = performance.now();
    for (let done = 0; done < total; done += atOnce) {
      const results = await submit(batch(atOnce));
      const placedFrom = performance.now();
      const placements = results.map(({ taskId }, i) => ({
        taskId,
        attempt: 1,
        hostId: `h${i % hostCount}`,
        journalId: `journal-h${i % hostCount}`,
      }));
      const plan = await store.commitPlan({ term, placements, ends: [] });
      if (plan.placementRefusals.some((why) => why !== "")) throw new Error(plan.placementRefusals.join());
      placing += performance.now() - placedFrom;
      const endedFrom = performance.now();
      await store.applyReports({ reports: reportsOf(plan) });
      ending += performance.now() - endedFrom;
    }
    const ms = performance.now() - fromMs;
    report("store-lives", {
      rate: perSecond(total, ms),
      unit: "tasks/s",
      placeUs: Math.round((placing / total) * 1000),
      endUs: Math.round((ending / total) * 1000),
    });
  }

  function reportsOf({ assignments }: CommitPlanResponse) {
    return assignments.map(({ hostId, assign }) => ({
      hostId,
      journalId: `journal-${hostId}`,
      statuses: assign!.assignments.map(({ run }) => aStatus(run!.epoch, run!.taskId, run!.attempt, RunPhase.ENDED)),
    }));
  }
} finally {
  await closing.close();
}

/** A figure for submits that were refused would be no figure. */
function checked<R extends { readonly failure?: unknown; readonly taskId: string }>(
  results: readonly R[],
  expected: number,
): readonly R[] {
  const stored = results.filter(({ failure, taskId }) => failure === undefined && taskId !== "");
  if (stored.length !== expected) throw new Error(`${stored.length} of ${expected} were stored`);
  submitted += expected;
  return results;
}

async function measure(name: string, count: number, work: () => Promise<void>): Promise<void> {
  const from = performance.now();
  await work();
  report(name, { rate: perSecond(count, performance.now() - from), unit: "submits/s" });
}

async function inFlight(width: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) await one();
    }),
  );
}
