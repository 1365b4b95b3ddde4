import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

  const isDamaged = expect.objectContaining({
    reason: "DATABASE_DAMAGED",
    message: expect.stringContaining("a.db is damaged"),
  });

  /** Makes a database in a process that is killed then, with three commits in its log. */
  async function killed(): Promise<string> {
    const path = join(dir, "a.db");
    const module = JSON.stringify(new URL("./sqlite.ts", import.meta.url).href);
    const program = `const { openSqlite } = await import(${module});
      const database = openSqlite(${JSON.stringify(path)}, { migrations: [{ version: 1, up: ["CREATE TABLE t (a)"] }] });
      for (let n = 0; n < 3; n++) database.transaction(() => database.sql("INSERT INTO t VALUES (?)").run("x".repeat(5000)));
      process.kill(process.pid, "SIGKILL");`;
    await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]).catch(() => {});
    return path;
  }

  it("goes on after a kill, with all that was committed", async () => {
    const database = openSqlite(await killed());
    open.push(database);
    expect(database.sql("SELECT count(*) AS n FROM t").get()).toEqual({ n: 3 });
  });

  it("says that its log was cut off, changed or taken away, which SQLite itself passes over", async () => {
    const path = await killed();
    const log = readFileSync(`${path}-wal`);
    const faults = [
      log.subarray(0, log.length - 4_000),
      Buffer.alloc(0),
      Buffer.concat([Buffer.alloc(32), log.subarray(32)]),
      Buffer.concat([log.subarray(0, 9_000), Buffer.from("?!"), log.subarray(9_002)]),
    ];
    for (const bytes of faults) {
      writeFileSync(`${path}-wal`, bytes);
      expect(() => openSqlite(path)).toThrow(isDamaged);
    }
    rmSync(`${path}-wal`);
    expect(() => openSqlite(path)).toThrow(isDamaged);
    writeFileSync(`${path}-wal`, log);
    open.push(openSqlite(path));
  });

  it("says that its file is damaged, or is no database", async () => {
    const path = await killed();
    openSqlite(path).close();
    const whole = readFileSync(path);
    for (const bytes of [
      Buffer.alloc(whole.length, "x"),
      whole.subarray(0, 5_000),
      Buffer.concat([whole.subarray(0, 4_096), Buffer.alloc(whole.length - 4_096, "x")]),
    ]) {
      for (const beside of ["-wal", "-shm"]) rmSync(`${path}${beside}`, { force: true });
      writeFileSync(path, bytes);
      expect(() => openSqlite(path), `${bytes.length} ${bytes[0]}`).toThrow(isDamaged);
    }
  });
});
