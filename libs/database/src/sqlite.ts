import { chmodSync, closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { AppError } from "@berth/core";
import { damaged, isDamage, logFault, noteBoot } from "./damage.ts";

/** One migration of the schema, applied once, in the order of `version`. */
export interface Migration {
  /** 1 or more; kept in `user_version`. */
  readonly version: number;
  /** Statements, run in one transaction. */
  readonly up: readonly string[];
}

/** A SQLite database of one process: synchronous, durable at each commit. */
export interface Database {
  readonly path: string;
  /** The prepared statement of `text`, prepared once; build no SQL from values. */
  sql(text: string): StatementSync;
  /** Runs one or more statements without parameters. */
  exec(text: string): void;
  /** Runs `fn` in BEGIN IMMEDIATE … COMMIT; what it throws undoes everything and is thrown on. */
  transaction<T>(fn: () => T): T;
  /** Whether a transaction is open: SQLite itself ends one on some errors, such as a full disk. */
  inTransaction(): boolean;
  /** Closes once; a second call does nothing. */
  close(): void;
}

/** How long a statement waits for another process's lock. The wait blocks the event loop. */
const busyTimeoutMs = 1_000;
/** The low byte of the error code is SQLITE_BUSY, whatever the extended code: https://sqlite.org/rescode.html#busy */
const busyCode = 5;

/** Databases that this process has open. Their files must not be opened a second time, because closing a descriptor drops SQLite's POSIX locks on the file. */
const open = new Set<string>();
/** Largest database that `PRAGMA quick_check` reads at each start. Damage of a larger one is found when a statement meets it. */
const mostCheckedBytes = 16 * 1024 * 1024;

/**
 * Opens or creates a database and applies the `migrations` that it lacks. `shrinks`: a new file can return freed pages to the disk (`PRAGMA
 * incremental_vacuum`). Throws `precondition` STORAGE_TOO_NEW if a newer Berth has written it, DATABASE_DAMAGED if the file or its committed log is incomplete.
 */
export function openSqlite(
  path: string,
  options: { readonly migrations?: readonly Migration[]; readonly shrinks?: boolean } = {},
): Database {
  if (path !== ":memory:") {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    keepPrivate(path);
    const fault = open.has(path) ? undefined : logFault(path);
    if (fault !== undefined) throw damaged(path, fault);
  }
  const raw = new DatabaseSync(path, { enableForeignKeyConstraints: false, timeout: busyTimeoutMs });
  try {
    if (options.shrinks === true) raw.exec("PRAGMA auto_vacuum = INCREMENTAL"); // only of a file without a table yet
    keepLog(raw);
    // FULL: a commit that was acknowledged survives a power cut. A larger checkpoint interval than the default 1,000
    // pages, because the commit that triggers a checkpoint waits for its fsyncs.
    raw.exec(`PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
      PRAGMA mmap_size = 268435456; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000;`);
    const database = wrap(raw, path);
    checkPages(database);
    migrate(database, options.migrations ?? []);
    if (path !== ":memory:") noteBoot(path);
    open.add(path);
    return database;
  } catch (error) {
    raw.close();
    throw isDamage(error) ? damaged(path, messageOf(error), error) : error;
  }
}

/**
 * Creates the database file with mode 0600, or changes the mode of an existing one. SQLite creates `-wal` and `-shm` with the mode of the database. An existing file is
 * not opened here, because closing it would drop the POSIX locks that SQLite holds on it in this process.
 */
export function keepPrivate(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EEXIST") throw error;
  }
  const self = process.getuid?.();
  for (const each of [path, `${path}-wal`, `${path}-shm`]) {
    const found = statSync(each, { throwIfNoEntry: false });
    if (found && found.uid === self && (found.mode & 0o077) !== 0) chmodSync(each, 0o600);
  }
}

/** While another process creates the file, SQLite locks it exclusively and ignores the busy timeout. So retry until the timeout has passed. */
function keepLog(raw: DatabaseSync): void {
  const until = performance.now() + busyTimeoutMs;
  for (;;) {
    try {
      return raw.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      const isBusy = error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === busyCode;
      if (!isBusy || performance.now() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function checkPages(database: Database): void {
  if (database.path === ":memory:" || statSync(database.path).size > mostCheckedBytes) return;
  const found = Object.values(database.sql("PRAGMA quick_check(1)").get() ?? {})[0];
  if (found !== "ok") throw damaged(database.path, String(found));
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function wrap(raw: DatabaseSync, path: string): Database {
  const statements = new Map<string, StatementSync>();
  const sql = (text: string): StatementSync => {
    let statement = statements.get(text);
    if (!statement) statements.set(text, (statement = raw.prepare(text)));
    return statement;
  };
  return {
    path,
    sql,
    exec: (text) => raw.exec(text),
    inTransaction: () => raw.isTransaction,
    transaction(fn) {
      sql("BEGIN IMMEDIATE").run();
      try {
        const result = fn();
        sql("COMMIT").run();
        return result;
      } catch (error) {
        if (raw.isTransaction) sql("ROLLBACK").run();
        if (!isDamage(error)) throw error;
        const fault = damaged(path, messageOf(error), error);
        setImmediate(() => {
          throw fault; // an unhandled error ends the process, which must write nothing more to this file
        });
        throw fault;
      }
    },
    close() {
      if (!raw.isOpen) return;
      statements.clear();
      raw.close();
      open.delete(path);
    },
  };
}

function migrate(database: Database, migrations: readonly Migration[]): void {
  const formOf = () => Number(database.sql("PRAGMA user_version").get()?.["user_version"] ?? 0);
  const found = formOf();
  const known = migrations.at(-1)?.version ?? 0;
  if (found > known && migrations.length > 0) {
    throw new AppError(
      "precondition",
      "STORAGE_TOO_NEW",
      `${database.path} has form ${found}, written by a newer Berth; this one knows forms up to ${known}`,
      { metadata: { path: database.path } },
    );
  }
  for (const { version, up } of migrations) {
    if (version <= found) continue;
    database.transaction(() => {
      if (version <= formOf()) return; // another process, that opened it at the same time, was first
      for (const statement of up) database.exec(statement);
      // A PRAGMA takes no parameters; the version is a number of our own.
      database.exec(`PRAGMA user_version = ${Math.trunc(version)}`);
    });
  }
}
