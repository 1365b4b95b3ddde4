import { randomBytes } from "node:crypto";
import { closeSync, fdatasync, fdatasyncSync, openSync } from "node:fs";
import { AppError } from "@berth/core";
import { openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import type { HeldRun } from "../../domain/held-run.ts";
import type { Journal, JournalChanges, LogPositions } from "../../ports/journal.ts";
import { heldFromRow, heldToRow } from "./journal-codec.ts";

const migrations = [
  {
    version: 1,
    up: [
      "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
      "CREATE TABLE runs (key TEXT PRIMARY KEY, held TEXT NOT NULL) WITHOUT ROWID",
      "CREATE TABLE specs (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
      // In the order of settling, so that the oldest are found without an index on the time.
      "CREATE TABLE settled (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, settled_at INTEGER NOT NULL)",
      "CREATE TABLE log_positions (key TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID",
    ],
  },
];

/** The agent's journal: SQLite in WAL mode. The log is synced in the thread pool, not on the event loop. */
export interface SqliteJournal extends Journal {
  readonly logPositions: LogPositions;
  close(): void;
}

/** Opens (or makes) the journal at `path`. */
export function sqliteJournal(path: string, now: () => Date = () => new Date()): SqliteJournal {
  const database = openSqlite(path, { migrations });
  const meta = (name: string): string | undefined =>
    database.sql("SELECT value FROM meta WHERE name = ?").get(name)?.["value"] as string | undefined;
  const setMeta = (name: string, value: string): void =>
    void database.sql("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(name, value);

  const id = meta("journal_id") ?? randomBytes(9).toString("base64url");
  setMeta("journal_id", id);
  // That commit synced the log's directory entry too. Later commits do not sync, because a sync blocks the event loop for a millisecond and more: `flush` syncs in the
  // thread pool, once for all commits before it. SQLite holds no locks on the log, so closing this descriptor drops none.
  database.exec("PRAGMA synchronous = NORMAL");
  const log = openSync(`${path}-wal`, "r+");
  const positions = logPositions(database);

  function commit(fn: () => void): void {
    try {
      database.transaction(fn);
    } catch (cause) {
      throw new AppError("unavailable", "JOURNAL_FAILED", `the journal ${path} cannot be written`, { cause });
    }
  }

  return {
    id,
    logPositions: positions,
    load: () => ({
      runs: database
        .sql("SELECT held FROM runs")
        .all()
        .map((row) => heldFromRow(String(row["held"]))),
      specs: new Map(
        database
          .sql("SELECT id, bytes FROM specs")
          .all()
          .map((row) => [Number(row["id"]), row["bytes"] as Uint8Array]),
      ),
      terms: new Map(
        database
          .sql("SELECT name, value FROM meta WHERE name LIKE 'term:%'")
          .all()
          .map((row) => [String(row["name"]).slice("term:".length), Number(row["value"])]),
      ),
      bootId: meta("boot_id") ?? "",
    }),
    write(changes) {
      commit(() => {
        apply(database, changes, now().getTime());
        if (changes.settled) positions.delete(changes.settled);
      });
    },
    flush: (done) =>
      fdatasync(log, (cause) =>
        done(
          cause
            ? new AppError("unavailable", "JOURNAL_FAILED", `the journal ${path} cannot be put on disk`, { cause })
            : undefined,
        ),
      ),
    remembers: (key) => database.sql("SELECT 1 FROM settled WHERE key = ?").get(key) !== undefined,
    forget(settledBefore) {
      const last = database.sql("SELECT n FROM settled WHERE settled_at < ? ORDER BY n DESC LIMIT 1");
      const oldest = database.sql("SELECT settled_at FROM settled ORDER BY n LIMIT 1").get();
      if (!oldest || Number(oldest["settled_at"]) >= settledBefore.getTime()) return;
      // Bounded per call; the agent calls again in a minute.
      const upTo = last.get(settledBefore.getTime());
      if (upTo)
        commit(
          () =>
            void database
              .sql("DELETE FROM settled WHERE n IN (SELECT n FROM settled WHERE n <= ? ORDER BY n LIMIT 20000)")
              .run(Number(upTo["n"])),
        );
    },
    close() {
      positions.flush();
      fdatasyncSync(log);
      closeSync(log);
      database.close();
    },
  };
}

function apply(
  database: Database,
  { runs, specs, settled, droppedSpecs, terms, bootId }: JournalChanges,
  nowMs: number,
): void {
  for (const { id, bytes } of specs ?? []) database.sql("INSERT OR REPLACE INTO specs VALUES (?, ?)").run(id, bytes);
  for (const held of runs ?? []) putRun(database, held);
  for (const key of settled ?? []) {
    database.sql("DELETE FROM runs WHERE key = ?").run(key);
    database.sql("INSERT OR IGNORE INTO settled (key, settled_at) VALUES (?, ?)").run(key, nowMs);
  }
  for (const id of droppedSpecs ?? []) database.sql("DELETE FROM specs WHERE id = ?").run(id);
  for (const [epoch, term] of terms ?? [])
    database.sql("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(`term:${epoch}`, String(term));
  if (bootId !== undefined) database.sql("INSERT OR REPLACE INTO meta VALUES ('boot_id', ?)").run(bootId);
}

const putRun = (database: Database, held: HeldRun): void =>
  void database.sql("INSERT OR REPLACE INTO runs VALUES (?, ?)").run(held.key, heldToRow(held));

/** Positions are written one second after the first change. After a crash the driver reads that second of output again. */
function logPositions(database: Database): LogPositions & { flush(): void } {
  const changed = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (changed.size === 0) return;
    try {
      database.transaction(() => {
        for (const [key, position] of changed)
          database.sql("INSERT OR REPLACE INTO log_positions VALUES (?, ?)").run(key, position);
      });
      changed.clear();
    } catch {
      // For example a full disk: the positions stay in memory and are written with the next change.
    }
  };
  return {
    flush,
    get: (key) =>
      changed.get(key) ??
      (database.sql("SELECT position FROM log_positions WHERE key = ?").get(key)?.["position"] as string | undefined),
    set(key, position) {
      changed.set(key, position);
      timer ??= setTimeout(flush, 1_000);
    },
    delete(keys) {
      for (const key of keys) {
        changed.delete(key);
        database.sql("DELETE FROM log_positions WHERE key = ?").run(key);
      }
    },
  };
}
