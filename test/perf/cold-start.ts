import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunPhase } from "@berth/contracts/agent";
import type { NewTask } from "@berth/contracts/store";
import { TaskRequest } from "@berth/contracts/types";
import { openSqlite } from "@berth/database";
import { migrations, sqliteTaskStore } from "@berth/storage";
import type { SqliteTaskStore } from "@berth/storage";
import { aHost, aNewTask, aStatus, startCore, until } from "@berth/test-support";
import { median, perSecond, processFigures, report, round } from "./measure.ts";

/** From the start of the scheduler's process until it leads with the whole queue in memory; what ended must not cost anything. */
const live = Number(process.argv[2] ?? 100_000);
const ended = Number(process.argv[3] ?? 1_000_000);
const rounds = 5;
const atOnce = 1_000;
const hostCount = 100;

const dir = mkdtempSync(join(tmpdir(), "berth-cold-start-"));
try {
  await build();
  const core = await startCore({ storageDir: dir, names: ["storage"], later: ["scheduler"] });
  try {
    const starts: number[] = [];
    const cpus: number[] = [];
    let pssBytes = 0;
    for (let round = 0; round < rounds; round++) {
      const leads = () => core.logOf("scheduler").match(/"leading"/g)?.length ?? 0;
      const before = round === 0 ? 0 : leads(); // its log goes on
      const storageCpuMs = processFigures([core.pidOf("storage")]).cpuMs;
      const from = performance.now();
      void core.start("scheduler");
      await until(() => leads() > before, "the scheduler to lead");
      starts.push(performance.now() - from);
      const scheduler = processFigures([core.pidOf("scheduler")]);
      cpus.push(scheduler.cpuMs + processFigures([core.pidOf("storage")]).cpuMs - storageCpuMs);
      ({ pssBytes } = scheduler);
      core.signal("scheduler", "SIGTERM"); // it gives its lease back
      await until(() => !core.isAlive("scheduler"), "the scheduler to end");
    }
    report("cold-start", {
      live,
      ended,
      medianMs: Math.round(median(starts)),
      leastMs: Math.round(Math.min(...starts)),
      // Of both processes: what a machine without other work needs.
      cpuMs: Math.round(median(cpus)),
      schedulerPssMb: Math.round(pssBytes / 1e6),
      reach: 2_000,
      anchor: "SQLite reads 400,000 rows/s",
    });
  } finally {
    await core[Symbol.asyncDispose]();
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/** A database as years of use leave it: most of what ended was killed before its turn (which is quick to make), the rest ran. */
async function build(): Promise<void> {
  const path = join(dir, "storage.db");
  const store = sqliteTaskStore(openSqlite(path, { migrations }), { now: Date.now });
  try {
    const from = performance.now();
    const hosts = Array.from({ length: hostCount }, (_, i) => aHost(`h${i}`));
    await store.syncHosts({ hosts, silentHostIds: [], silentAfterMs: 0 });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "perf", ttlMs: 1_000 });
    const ran = Math.round(ended / 10);
    for (let done = 0; done < ended; done += atOnce) {
      const ids = await submit(store, done);
      if (done < ran) await run(store, term, ids);
      else await store.request({ taskIds: ids, request: TaskRequest.KILL, user: "", admin: true });
    }
    for (let done = 0; done < live; done += atOnce) await submit(store, done);
    while (await store.housekeeping()) continue; // the feed's purge is not what is measured
    await store.releaseLease({ name: "scheduler", holder: "perf" });
    report("cold-start-database", {
      rate: perSecond(live + ended, performance.now() - from),
      unit: "tasks/s",
      megabytes: round(statSync(path).size / 1e6, 0),
    });
  } finally {
    store.close();
  }
}

async function submit(store: SqliteTaskStore, n: number): Promise<string[]> {
  const tasks = Array.from({ length: atOnce }, (_, i): NewTask =>
    aNewTask({
      user: `u${(n + i) % 50}`,
      command: ["sh", "-c", "echo hello"],
      cpuMilli: 500 + 100 * (i % 20),
      priority: i % 3,
    }),
  );
  const results = await store.submit(tasks.map((task) => ({ task, number: 0 })));
  return results.map(({ taskId, failure }) => {
    if (failure) throw new Error(failure.message);
    return taskId;
  });
}

async function run(store: SqliteTaskStore, term: number, ids: readonly string[]): Promise<void> {
  const hostOf = (i: number) => `h${i % hostCount}`;
  await store.commitPlan({
    term,
    placements: ids.map((taskId, i) => ({ taskId, attempt: 1, hostId: hostOf(i), journalId: `journal-${hostOf(i)}` })),
    ends: [],
  });
  const reports = Array.from({ length: hostCount }, (_, host) => ({
    hostId: hostOf(host),
    journalId: `journal-${hostOf(host)}`,
    statuses: ids.filter((_id, i) => i % hostCount === host).map((id) => aStatus(store.epoch, id, 1, RunPhase.ENDED)),
  }));
  await store.applyReports({ reports });
}
