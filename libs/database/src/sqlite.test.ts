import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "@berth/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqlite, type Database, type Migration } from "./sqlite.ts";

const first: Migration = { version: 1, up: ["CREATE TABLE t (a INTEGER) STRICT"] };
const second: Migration = { version: 2, up: ["ALTER TABLE t ADD COLUMN b TEXT"] };

describe("openSqlite", () => {
  let dir: string;
  const open: Database[] = [];
  const at = (migrations: readonly Migration[]): Database => {
    const database = openSqlite(join(dir, "deep", "a.db"), { migrations });
    open.push(database);
    return database;
  };
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "berth-sqlite-"))));
  afterEach(() => {
    for (const database of open.splice(0)) database.close();
    rmSync(dir, { recursive: true });
  });

  it("gives freed pages back where that was wanted when the file was made", () => {
    const database = openSqlite(join(dir, "b.db"), { shrinks: true, migrations: [first] });
    open.push(database);
    database.exec(
      "INSERT INTO t WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 50000) SELECT a FROM n",
    );
    const pages = () => Number(database.sql("PRAGMA page_count").get()?.["page_count"]);
    const most = pages();
    database.exec("DELETE FROM t; PRAGMA incremental_vacuum(10)");
    expect(pages()).toBe(most - 10);
    expect(database.sql("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  });

  it("is its own user's alone, with the files beside it, and where an earlier Berth made it for all", () => {
    const path = join(dir, "b.db");
    const modes = () => [path, `${path}-wal`, `${path}-shm`].map((each) => (statSync(each).mode & 0o777).toString(8));
    open.push(openSqlite(path, { migrations: [first] }));
    expect(modes()).toEqual(["600", "600", "600"]);
    for (const each of [path, `${path}-wal`, `${path}-shm`]) chmodSync(each, 0o644);
    open.push(openSqlite(path, { migrations: [first] }));
    expect(modes()).toEqual(["600", "600", "600"]);
  });

  it("is made once where several processes open it at the same time", async () => {
    const program = `const { openSqlite } = await import(${JSON.stringify(join(import.meta.dirname, "sqlite.ts"))});
      while (Date.now() < Number(process.argv[2])) continue;
      openSqlite(process.argv[1], { migrations: ${JSON.stringify([first, second])} }).close();`;
    for (let n = 0; n < 5; n++) {
      const [path, when] = [join(dir, `${n}.db`), String(Date.now() + 400)];
      const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program, path, when];
      await Promise.all([1, 2, 3, 4].map(() => promisify(execFile)(process.execPath, args)));
    }
  });

  it("is durable at each commit", () => {
    const database = at([first]);
    expect(database.sql("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
    expect(database.sql("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  });

  it("applies only the migrations that a database lacks", () => {
    at([first]).sql("INSERT INTO t (a) VALUES (?)").run(1);
    const later = at([first, second]);
    later.sql("INSERT INTO t (a, b) VALUES (?, ?)").run(2, "two");
    expect(later.sql("SELECT a, b FROM t ORDER BY a").all()).toEqual([
      { a: 1, b: null },
      { a: 2, b: "two" },
    ]);
    expect(at([first, second]).sql("SELECT count(*) AS n FROM t").get()).toEqual({ n: 2 });
  });

  it("applies a migration whole or not at all", () => {
    expect(() => at([{ version: 1, up: ["CREATE TABLE t (a INTEGER)", "no SQL"] }])).toThrow();
    expect(at([first]).sql("PRAGMA user_version").get()).toEqual({ user_version: 1 });
  });

  it("refuses a database that a newer version has written", () => {
    at([first, second]);
    expect(() => at([first])).toThrow(expect.objectContaining({ code: "precondition", reason: "STORAGE_TOO_NEW" }));
    expect(() => at([first])).toThrow(AppError);
  });

  it("undoes a transaction that throws", () => {
    const database = at([first]);
    expect(() =>
      database.transaction(() => {
        database.sql("INSERT INTO t (a) VALUES (?)").run(1);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(database.inTransaction()).toBe(false);
    expect(database.sql("SELECT count(*) AS n FROM t").get()).toEqual({ n: 0 });
  });
});
