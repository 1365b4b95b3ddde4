import { singleInstanceLock } from "@berth/database";
import type { Closing, Logger } from "@berth/runtime";
import type { storeMetrics } from "./adapters/metrics/store-metrics.ts";
import { openSqliteStore } from "./adapters/sqlite/open-store.ts";
import type { Housekeeping } from "./app/housekeeping.ts";
import type { StorageConfig } from "./config.ts";
import type { TaskStore } from "./ports/task-store.ts";

interface Deps {
  readonly logger: Logger;
  readonly metrics: ReturnType<typeof storeMetrics>;
  readonly closing: Closing;
}

export type OpenStore = TaskStore & Housekeeping & { lastRevision(): number };

/**
 * Opens the database of the configuration: the MongoDB that `database` names, or SQLite in the data directory, whose lock is held then.
 * Throws `precondition` STORAGE_LOCKED where another process holds it.
 */
export async function openStore(config: StorageConfig, { logger, metrics, closing }: Deps): Promise<OpenStore> {
  const options = {
    newEpoch: config.newEpoch,
    logger,
    foldAfterMs: config.foldAfterMs,
    onCommit: metrics.onCommit,
    onClockJump: (believedAtMs: number, nowMs: number) =>
      logger.warn("the clock jumped ahead: nothing is archived or deleted until it went on for an hour", {
        from: new Date(believedAtMs).toISOString(),
        to: new Date(nowMs).toISOString(),
      }),
  };
  if (config.database !== undefined) {
    // Loaded only where it is used: a start on SQLite does not pay for it.
    const { openMongoStore } = await import("./adapters/mongo/open-store.ts");
    const store = await openMongoStore(config.database, { ...options, onRetry: metrics.onRetry });
    closing.add(() => store.close());
    return store;
  }
  const lock = singleInstanceLock(config.dataDir);
  closing.add(() => lock.release());
  const store = openSqliteStore(config.dataDir, { ...options, now: Date.now });
  closing.add(() => store.close());
  return store;
}
