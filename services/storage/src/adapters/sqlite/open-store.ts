import { join } from "node:path";
import { damaged, openSqlite } from "@berth/database";
import type { Database } from "@berth/database";
import { makeTaskStore } from "../../app/task-store.ts";
import type { TaskStore } from "../../ports/task-store.ts";
import { beginLife } from "./epoch.ts";
import { inodeOf, openMarkFile } from "./mark-file.ts";
import { migrations } from "./schema.ts";
import { isOutOfRange } from "./task-rows.ts";
import { sqliteEngine } from "./engine.ts";
import type { SqliteEngine, SqliteOptions } from "./engine.ts";

interface Log {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export type SqliteTaskStore = TaskStore & Pick<SqliteEngine, "housekeeping" | "lastRevision" | "close">;

export interface OpenStoreOptions extends SqliteOptions {
  /** A word that differs from the last one begins a new epoch; empty: none. */
  readonly newEpoch: string;
  readonly logger: Log;
}

/** The task store of an open database. */
export const sqliteTaskStore = (db: Database, options: SqliteOptions): SqliteTaskStore =>
  storeOn(sqliteEngine(db, options));

const storeOn = (engine: SqliteEngine): SqliteTaskStore => ({
  ...makeTaskStore(engine),
  housekeeping: () => engine.housekeeping(),
  lastRevision: () => engine.lastRevision(),
  close: () => engine.close(),
});

/**
 * Opens the database in `dir`, whose lock is held. A database restored from a copy begins a new epoch: runs that it knows as live are given up as lost, and runs that hosts
 * still have are unknown to it. Throws `precondition` DATABASE_DAMAGED if the store's own values cannot be read.
 */
export function openSqliteStore(dir: string, { newEpoch, logger, ...options }: OpenStoreOptions): SqliteTaskStore {
  const path = join(dir, "storage.db");
  const database = openSqlite(path, { migrations, shrinks: true });
  const mark = openMarkFile(join(dir, "storage.mark"));
  try {
    const inode = inodeOf(path);
    const renewed = beginLife(database, { now: options.now(), inode, mark: mark.left, newEpoch });
    if (renewed) logger.warn("the database was restored from a copy: a new epoch begins", { ...renewed });
    database.sql("SELECT term, expires_at FROM leases").all(); // a leader would be told only that something went wrong
    let marked = -1;
    const engine = sqliteEngine(database, {
      ...options,
      onCommit(items, ms) {
        const revision = engine.lastRevision();
        if (revision !== marked) mark.write({ epoch: engine.epoch, revision, number: engine.lastNumber(), inode });
        marked = revision;
        options.onCommit?.(items, ms);
      },
    });
    mark.write({ epoch: engine.epoch, revision: engine.lastRevision(), number: engine.lastNumber(), inode });
    logger.info("the database is open", { epoch: engine.epoch, revision: engine.lastRevision() });
    return {
      ...storeOn(engine),
      close() {
        engine.close();
        mark.close();
      },
    };
  } catch (error) {
    mark.close();
    database.close();
    if (isOutOfRange(error)) throw damaged(path, `a number of its own is none: ${error.message}`, error);
    throw error;
  }
}
