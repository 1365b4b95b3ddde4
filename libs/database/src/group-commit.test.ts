import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { groupCommit } from "./group-commit.ts";
import { openSqlite, type Database } from "./sqlite.ts";

describe("groupCommit", () => {
  let dir: string;
  let database: Database;
  let reader: Database;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-group-"));
    const migrations = [
      {
        version: 1,
        up: [
          "CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT",
          "CREATE TABLE child (t INTEGER REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED) STRICT",
        ],
      },
    ];
    database = openSqlite(join(dir, "a.db"), { migrations });
    reader = openSqlite(join(dir, "a.db"), { migrations });
  });
  afterEach(() => {
    database.close();
    reader.close();
    rmSync(dir, { recursive: true });
  });
  const insert = (a: number) => database.sql("INSERT INTO t (a) VALUES (?)").run(a);
  const stored = () =>
    reader
      .sql("SELECT a FROM t ORDER BY a")
      .all()
      .map((row) => row["a"]);

  it("answers after the commit, and not before", async () => {
    const commit = groupCommit(database);
    const seen: unknown[] = [];
    const done = [1, 2, 3].map((a) =>
      commit.run(() => {
        insert(a);
        seen.push(stored());
        return a;
      }),
    );
    await done[0];
    expect(seen).toEqual([[], [], []]); // one transaction, visible to nobody else while it runs
    expect(stored()).toEqual([1, 2, 3]);
    expect(await Promise.all(done)).toEqual([1, 2, 3]);
  });

  it("undoes only what throws", async () => {
    const commit = groupCommit(database);
    const results = await Promise.allSettled([
      commit.run(() => insert(1)),
      commit.run(() => {
        insert(2);
        throw new Error("mine");
      }),
      commit.run(() => insert(1)), // a constraint of SQLite's own
      commit.run(() => insert(4)),
    ]);
    expect(results.map((r) => r.status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { message: "mine" } });
    expect(stored()).toEqual([1, 4]);
  });

  it("rejects all of a commit that fails, and goes on", async () => {
    const commit = groupCommit(database);
    database.exec("PRAGMA foreign_keys = ON");
    const results = await Promise.allSettled([
      commit.run(() => insert(1)),
      commit.run(() => database.sql("INSERT INTO child (t) VALUES (99)").run()), // found out at COMMIT
    ]);
    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "unavailable", reason: "COMMIT_FAILED" } });
    }
    expect(stored()).toEqual([]);
    await commit.run(() => insert(2));
    expect(stored()).toEqual([2]);
  });

  it("bounds a transaction and the queue", async () => {
    const commit = groupCommit(database, { maxItems: 2, maxQueued: 3 });
    const sizes: number[] = [];
    const calls = [1, 2, 3].map((a) => commit.run(() => (sizes.push(stored().length), insert(a))));
    await expect(commit.run(() => insert(4))).rejects.toMatchObject({ code: "unavailable", reason: "QUEUE_FULL" });
    await Promise.all(calls);
    expect(sizes).toEqual([0, 0, 2]);
  });

  it("counts heavy functions for what they weigh, and takes one that is too heavy alone", async () => {
    const commits: number[] = [];
    const commit = groupCommit(database, { maxItems: 10, onCommit: (items) => commits.push(items) });
    await Promise.all([4, 4, 4, 50, 1, 9, 1].map((weight, at) => commit.run(() => insert(at), weight)));
    expect(commits).toEqual([2, 1, 1, 2, 1]);
    expect(stored()).toHaveLength(7);
  });

  it("tells of a commit before it answers, and of none that failed", async () => {
    const told: string[] = [];
    const commit = groupCommit(database, {
      onCommit: (items, ms) => told.push(`${items} in ${ms >= 0 ? "time" : "none"}`),
    });
    await commit.run(() => insert(1)).then(() => told.push("answered"));
    expect(told).toEqual(["1 in time", "answered"]);
    database.exec("PRAGMA foreign_keys = ON");
    await commit.run(() => database.sql("INSERT INTO child (t) VALUES (99)").run()).catch(() => {});
    expect(told).toHaveLength(2);
  });

  it("commits what waits when it closes, and refuses the rest", async () => {
    const commit = groupCommit(database, { maxItems: 2 });
    const calls = [1, 2, 3].map((a) => commit.run(() => insert(a)));
    commit.close();
    expect(stored()).toEqual([1, 2, 3]);
    await Promise.all(calls);
    await expect(commit.run(() => insert(4))).rejects.toMatchObject({ reason: "STORAGE_CLOSED" });
  });
});
