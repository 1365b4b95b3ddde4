import { AppError } from "@berth/core";
import { sleep } from "@berth/runtime";

export interface Housekeeping {
  /** Does one small step; resolves with whether more is due. */
  housekeeping(): Promise<boolean>;
}

interface Log {
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

const everyMs = 1_000;

/** Purges the change feed in small steps until `signal` is aborted. Retries a failed step; rejects with EPOCH_CHANGED when the database was replaced. */
export async function runHousekeeping(store: Housekeeping, logger: Log, signal: AbortSignal): Promise<void> {
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
