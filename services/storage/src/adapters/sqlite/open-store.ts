import { join } from "node:path";
import { damaged, openSqlite } from "@berth/database";
import { beginLife } from "./epoch.ts";
import { inodeOf, openMarkFile } from "./mark-file.ts";
import { migrations } from "./schema.ts";
import { isOutOfRange } from "./task-rows.ts";
import { sqliteTaskStore } from "./sqlite-task-store.ts";
import type { SqliteTaskStore, SqliteTaskStoreOptions } from "./sqlite-task-store.ts";

interface Log {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface OpenStoreOptions extends SqliteTaskStoreOptions {
  /** Another word than the last begins a new epoch; empty: none. */
  readonly newEpoch: string;
  readonly logger: Log;
}

/**
 * Opens the database in `dir`, whose lock is held. One that was restored from a copy begins a new epoch: what ran by it is over as lost, and what hosts still
 * have of before is unknown to it. Throws `precondition` DATABASE_DAMAGED where what the database keeps of itself cannot be read.
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
    const store = sqliteTaskStore(database, {
      ...options,
      onCommit(items, ms) {
        const revision = store.lastRevision();
        if (revision !== marked) mark.write({ epoch: store.epoch, revision, number: store.lastNumber(), inode });
        marked = revision;
        options.onCommit?.(items, ms);
      },
    });
    mark.write({ epoch: store.epoch, revision: store.lastRevision(), number: store.lastNumber(), inode });
    logger.info("the database is open", { epoch: store.epoch, revision: store.lastRevision() });
    return {
      ...store,
      close() {
        store.close();
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
