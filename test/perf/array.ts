import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunPhase } from "@berth/contracts/agent";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { ListTasksRequest } from "@berth/contracts/store";
import { Outcome } from "@berth/contracts/types";
import { openSqlite } from "@berth/database";
import { migrations, sqliteTaskStore } from "@berth/storage";
import { aHost, aNewTask, aStatus, apiOf, startCluster } from "@berth/test-support";
import { median, perSecond, processFigures, report, round } from "./measure.ts";

/** An array of a million: submitted, shown, listed, killed, and what its pending elements cost in memory; then how elements fold, in the store alone. */
const elements = 1_000_000;
const arrays = 20;
const folded = Number(process.argv[2] ?? 100_000);

await whole();
await foldElements();

async function whole(): Promise<void> {
  await using cluster = await startCluster({ driver: "sim", up: ["--sim-hosts", "1"] });
  const api = apiOf(cluster);
  const memory = () => ({
    storage: processFigures([cluster.pidOf("storage")!]).pssBytes,
    scheduler: processFigures([cluster.pidOf("scheduler")!]).pssBytes,
  });
  const spec = { command: ["sim", "1h"], array: { first: 1, last: elements, step: 1, maxLive: 1 } };
  await api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec })); // the first of all pays for what is loaded then
  const before = memory();
  const submits: number[] = [];
  const ids: string[] = [];
  for (let i = 0; i < arrays; i++) {
    const from = performance.now();
    ids.push((await api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec }))).taskId);
    submits.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const after = memory();
  const perElement = (name: "storage" | "scheduler") =>
    round((after[name] - before[name]) / (arrays * (elements - 1)), 3);
  report("array-submit", {
    elements,
    medianMs: round(median(submits)),
    reach: 50,
    anchor: "Slurm 6-16 ms; HyperQueue 1.15 s",
  });
  report("array-memory", {
    pending: arrays * (elements - 1),
    bytesAnElement: { storage: perElement("storage"), scheduler: perElement("scheduler") },
    reach: 8,
    anchor: "HyperQueue 371",
  });

  async function timed(args: (id: string) => readonly string[]): Promise<number> {
    const times: number[] = [];
    for (const id of ids.slice(0, 11)) {
      const from = performance.now();
      const ran = await cluster.berth(args(id));
      times.push(performance.now() - from);
      if (ran.code !== 0) throw new Error(`berth ${args(id).join(" ")}: ${ran.stderr}`);
    }
    return Math.round(median(times));
  }
  report("array-commands", {
    showMs: await timed((id) => ["show", id]),
    showElementMs: await timed((id) => ["show", `${id}.900000`]),
    lsMs: await timed((id) => ["ls", id]),
    lsFailedMs: await timed((id) => ["ls", id, "--state", "failed"]),
    killMs: await timed((id) => ["kill", id]),
    lsKilledMs: await timed((id) => ["ls", id, "--state", "killed"]),
    reach: 300,
    anchor: "Slurm's squeue of 20,000 0.2 s",
  });
  api.close();
}

/** Elements that ended, as varied as measured values are, with a few that failed. */
async function foldElements(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "berth-array-"));
  const db = openSqlite(join(dir, "storage.db"), { migrations });
  const store = sqliteTaskStore(db, { now: Date.now, foldAfterMs: 0, feed: { keepMs: 0, keepRows: 1 } });
  try {
    const hosts = Array.from({ length: 50 }, (_, i) => aHost(`host-${i}`));
    await store.syncHosts({ hosts, silentHostIds: [], silentAfterMs: 0 });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "perf", ttlMs: 1e9 });
    const array = { first: 1, last: folded, step: 1, maxLive: 0 };
    const id = (await store.submit([{ task: aNewTask({ array }), number: 0 }]))[0]!.taskId;
    for (let done = 0; done < folded; done += 1_000) await end(id, done, Math.min(folded, done + 1_000));
    while (await store.housekeeping()) continue; // what is measured is not the feed
    const pages = (name: string) =>
      Number(db.sql("SELECT sum(pgsize) AS n FROM dbstat WHERE name = ?").get(name)?.["n"] ?? 0);
    const recordBytes = pages("tasks") / folded;

    const from = performance.now();
    let longest = 0;
    for (let more = true; more;) {
      const stepFrom = performance.now();
      ({ more } = await store.fold(1_000));
      longest = Math.max(longest, performance.now() - stepFrom);
    }
    const ms = performance.now() - from;
    report("array-fold", {
      elements: folded,
      rate: perSecond(folded, ms),
      unit: "elements/s",
      longestStepMs: round(longest, 1),
      bytesAnElement: round((pages("folded") + pages("sqlite_autoindex_folded_1")) / folded, 1),
      recordBytes: round(recordBytes, 0),
      reach: 20,
    });
    const looks: number[] = [];
    for (let i = 0; i < 200; i++) {
      const lookFrom = performance.now();
      await store.get({ taskId: `${id}.${1 + ((i * 7_919) % folded)}`, user: "" });
      looks.push(performance.now() - lookFrom);
    }
    const listFrom = performance.now();
    let [failed, pages_, pageToken] = [0, 0, ""];
    do {
      const request = { arrayId: id, outcomes: [Outcome.OUT_OF_MEMORY], pageSize: 1_000, pageToken };
      const page = await store.list(ListTasksRequest.fromPartial(request));
      failed += page.tasks.length;
      pages_ += 1;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    report("array-read-folded", {
      elements: folded,
      getMs: round(median(looks)),
      listRareMs: round(performance.now() - listFrom),
      found: failed,
      calls: pages_,
    });

    async function end(taskId: string, after: number, upTo: number): Promise<void> {
      const indexes = Array.from({ length: upTo - after }, (_, i) => after + i + 1);
      const hostOf = (index: number) => `host-${(index * 31) % hosts.length}`;
      const placements = indexes.map((index) => ({
        taskId: `${taskId}.${index}`,
        attempt: 1,
        hostId: hostOf(index),
        journalId: `journal-${hostOf(index)}`,
      }));
      await store.commitPlan({ term, placements, ends: [] });
      const now = Date.now();
      const reports = hosts.map((host) => ({
        hostId: host.id,
        journalId: host.journalId,
        statuses: indexes
          .filter((index) => hostOf(index) === host.id)
          .map((index) => {
            const noise = Math.floor(Math.random() * 100_000);
            const startTime = new Date(now + (noise % 40));
            const wallMs = 50 + (noise % 3_000);
            const bad = index % 5_000 === 0;
            return aStatus(store.epoch, `${taskId}.${index}`, 1, RunPhase.ENDED, {
              startTime,
              endTime: new Date(startTime.getTime() + wallMs),
              outcome: bad ? Outcome.OUT_OF_MEMORY : Outcome.SUCCEEDED,
              usage: { cpuMs: noise % 2_000, peakMemoryBytes: 1_000_000 + noise * 4_096, wallMs },
              logSizes: { stdoutBytes: noise % 3_000, stderrBytes: noise % 7 === 0 ? noise % 100 : 0 },
              enforced: ["memory", "cpu"],
            });
          }),
      }));
      await store.applyReports({ reports });
    }
  } finally {
    store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
