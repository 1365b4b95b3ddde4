import { AppError } from "@berth/core";
import { sleep } from "@berth/runtime";

export interface Housekeeping {
  /** One small step of what is due; tells whether more is. */
  housekeeping(): Promise<boolean>;
}

interface Log {
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

const everyMs = 1_000;

/** Purges the change feed in small steps, as long as the service lives. A step that fails is tried again; where the database is another one than before, it rejects. */
export async function keepHouse(store: Housekeeping, logger: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await store.housekeeping())) continue;
    } catch (error) {
      if (!(error instanceof AppError) || error.reason === "EPOCH_CHANGED") throw error;
      logger.warn("housekeeping failed; it is tried again", { reason: error.reason });
    }
    await sleep(everyMs, signal).catch(() => {}); // aborted: the loop ends
  }
}
