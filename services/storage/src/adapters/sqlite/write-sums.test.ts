import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { openSqlite } from "@berth/database";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { migrations } from "./schema.ts";
import { sqliteTaskStore } from "./open-store.ts";

describe("the daily usage", () => {
  it("charges each run once, to its day, user and project, a superseded one too", async () => {
    const db = openSqlite(":memory:", { migrations });
    const store = sqliteTaskStore(db, { now: () => Date.UTC(2026, 10, 24) });
    await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "test", ttlMs: 60_000 });
    const place = (taskId: string, attempt: number) =>
      store.commitPlan({ term, placements: [{ taskId, attempt, hostId: "h1", journalId: "journal-h1" }], ends: [] });
    const report = (taskId: string, attempt: number, phase: RunPhase, day: number, hostId = "h1") =>
      store.applyReports({
        reports: [
          {
            hostId,
            journalId: `journal-${hostId}`,
            statuses: [
              aStatus(store.epoch, taskId, attempt, phase, {
                endTime: new Date(Date.UTC(2026, 10, day, 23, 59)),
                usage: { cpuMs: 1_500, wallMs: 4_000 },
              }),
            ],
          },
        ],
      });
    const answers = async (told: ReturnType<typeof report>) => (await told).replies[0]!.answers;
    const wishes = { cpuMilli: 2_000, memoryBytes: 512 * 1024 * 1024 };
    const tasks = [
      aNewTask({ ...wishes, project: "words" }),
      aNewTask({ ...wishes, project: "words" }),
      aNewTask({ ...wishes, user: "bob" }),
    ];
    const [a, b, c] = (await store.submit(tasks.map((task) => ({ task, number: 0 })))).map(({ taskId }) => taskId);

    await place(a!, 1);
    await report(a!, 1, RunPhase.REFUSED, 24);
    await place(a!, 2);
    await report(a!, 2, RunPhase.ENDED, 24);
    await report(a!, 2, RunPhase.ENDED, 24); // its answer was lost
    expect(await answers(report(a!, 1, RunPhase.ENDED, 24, "h2"))).toEqual([ReportAnswer.UNKNOWN]); // it never was there
    await report(a!, 1, RunPhase.ENDED, 24); // ran all the same
    await report(a!, 1, RunPhase.ENDED, 24);
    await place(b!, 1);
    await report(b!, 1, RunPhase.ENDED, 25);
    await place(c!, 1);
    await report(c!, 1, RunPhase.ENDED, 24);

    // 4 s of 2 processors and 512 MiB a run
    const run = { runs: 1, cpu_ms: 1_500, core_ms: 8_000, memory_mib_s: 2_048 };
    const twice = { runs: 2, cpu_ms: 3_000, core_ms: 16_000, memory_mib_s: 4_096 };
    expect(db.sql("SELECT * FROM usage_daily ORDER BY day, user, project").all()).toEqual([
      { day: "2026-11-24", user: "ada", project: "words", ...twice },
      { day: "2026-11-24", user: "bob", project: "default", ...run },
      { day: "2026-11-25", user: "ada", project: "words", ...run },
    ]);
    store.close();
  });
});
