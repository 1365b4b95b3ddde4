import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "@berth/database";
import { RunSpec } from "@berth/contracts/types";
import { aHost, aNewTask } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { encodeHead } from "../../decisions/record/feed-row.ts";
import { migrations } from "./schema.ts";
import { sqliteTaskStore } from "./open-store.ts";

const day = 86_400_000;
const now = 100 * day;

describe("migrations", () => {
  it("bring a database of the first form, with what ended in it, to the newest", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-schema-"));
    try {
      const path = join(dir, "storage.db");
      const old = openSqlite(path, { migrations: migrations.slice(0, 1) });
      const insertSpec = (number: number, isArray: number) =>
        old
          .sql(
            `INSERT INTO specs (number, user, project, name, is_array, uid, gid, cpu_milli, memory_bytes, created_at, head, run_spec)
             VALUES (?, 'ada', 'p', 'n', ?, 1, 1, 1000, 1, 0, ?, ?)`,
          )
          .run(number, isArray, encodeHead({ user: "ada" }), RunSpec.encode(aNewTask().runSpec!).finish());
      const insertTask = (number: number, idx: number, state: number) =>
        old
          .sql(
            "INSERT INTO tasks (number, idx, user, state, attempt, revision, outcome, host, ended_at) VALUES (?, ?, 'ada', ?, 1, ?, ?, 'h1', ?)",
          )
          .run(number, idx, state, number * 10 + idx + 1, state === 5 ? 1 : 0, state === 5 ? now - 40 * day : null);
      insertSpec(1, 0);
      insertTask(1, -1, 5);
      old.exec("INSERT INTO client_keys (user, key, number, spec_hash) VALUES ('ada', 'k', 1, x'00')");
      insertSpec(2, 1);
      insertTask(2, -1, 5);
      for (const idx of [1, 2, 3]) insertTask(2, idx, 5);
      old.exec(
        `INSERT INTO arrays (number, first, last, step, max_live, cursor, early, live, waiting, ended, cpu_ms, wall_ms) VALUES (2, 1, 3, 1, 0, 4, 0, 0, 0, '{"succeeded":3}', 0, 0)`,
      );
      insertSpec(3, 0);
      insertTask(3, -1, 1);
      old.exec("INSERT INTO task_counts (user, state, n) VALUES ('ada', 5, 4), ('ada', 1, 1)");
      old.exec("INSERT INTO changes (revision, at, user, row) VALUES (100, 0, 'ada', x'')");
      old.close();

      const store = sqliteTaskStore(openSqlite(path, { migrations }), { now: () => now });
      try {
        expect(await store.expired(30 * day, 10)).toEqual(["1"]); // the array's elements are records still
        expect(await store.fold(100)).toEqual({ done: 3, more: false });
        expect(await store.expired(30 * day, 10)).toEqual(["1", "2"]);
        expect(await store.get({ taskId: "2.3", user: "" })).toMatchObject({ hostId: "h1", attempt: 1, revision: 24 });
        expect(await store.archive(["1", "2"])).toBe(2);
        expect(await store.deleteRecords(30 * day, 10)).toMatchObject({ done: 2 });
        expect(await store.countTasks({ user: "" })).toMatchObject({ byState: { pending: 1, over: 0, archived: 0 } });
        const [again] = await store.submit([{ task: aNewTask({ clientKey: "k" }), number: 0 }]);
        expect(again).toMatchObject({ taskId: "4", existing: false });
      } finally {
        store.close();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("put the sign of a lease into words, and leave a number alone with which no program can count", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-schema-"));
    try {
      const path = join(dir, "storage.db");
      const old = openSqlite(path, { migrations: migrations.slice(0, 4) });
      const runSpec = RunSpec.encode(aNewTask().runSpec!).finish();
      for (const [number, lease] of [900_000n, -900_000n, 0n, -(2n ** 63n)].entries()) {
        old
          .sql(
            `INSERT INTO specs (number, user, project, name, is_array, uid, gid, cpu_milli, memory_bytes, created_at, head, run_spec)
             VALUES (?, 'ada', 'p', 'n', 0, 1, 1, 1000, 1, 0, ?, ?)`,
          )
          .run(number + 1, encodeHead({ user: "ada" }), runSpec);
        old
          .sql(
            "INSERT INTO tasks (number, idx, user, state, attempt, revision, host, lease_ms) VALUES (?, -1, 'ada', 3, 1, 1, 'h1', ?)",
          )
          .run(number + 1, lease);
      }
      old.close();
      const db = openSqlite(path, { migrations });
      const columns = db.sql("SELECT lease_ms, retry_on FROM tasks WHERE number < 4 ORDER BY number").all();
      const store = sqliteTaskStore(db, { now: () => now });
      try {
        expect(columns).toEqual([
          { lease_ms: 900_000, retry_on: "lost" },
          { lease_ms: 900_000, retry_on: "" },
          { lease_ms: 0, retry_on: "" },
        ]);
        await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
        const run = (taskId: string) => ({ epoch: store.epoch, taskId, attempt: 1 });
        const request = { hostId: "h1", by: "root", listenedMs: 0, marginMs: 0 };
        expect(await store.loseRuns(request)).toEqual({ retried: [run("1")], lost: [run("2"), run("3")] });
        expect(await store.get({ taskId: "4", user: "" })).toMatchObject({ reason: { code: "RECORD_UNREADABLE" } });
      } finally {
        store.close();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
