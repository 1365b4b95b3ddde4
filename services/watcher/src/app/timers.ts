import { AppError } from "@berth/core";
import { LeaseKeeper } from "@berth/runtime";
import type { Logger } from "../ports/instruments.ts";
import type { TimerLease } from "../ports/run-store.ts";

export interface TimerDeps {
  readonly lease: TimerLease;
  readonly logger: Logger;
  readonly ttlMs: number;
  readonly everyMs: number;
  onTick(): Promise<void>;
  /** Told each time whether this watcher holds the lease. */
  onHeld(held: boolean): void;
  /** Milliseconds of a monotonic clock. */
  monotonic(): number;
  readonly random: () => number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Calls `onTick` regularly in the one watcher that holds the lease. Runs until aborted. */
export async function runTimers(deps: TimerDeps, signal: AbortSignal): Promise<void> {
  const { lease, logger, everyMs, onTick, onHeld, sleep } = deps;
  const warn = (error: AppError): void =>
    logger.warn("timers wait for storage", { reason: error.reason, error: error.message });
  const keeper = new LeaseKeeper({ ...deps, acquire: (ttlMs, until) => lease.acquire(ttlMs, until), onError: warn });
  const keeping = keeper.run(signal).catch(() => {}); // ends only when aborted
  let failing = false;
  while (!signal.aborted) {
    onHeld(keeper.held);
    try {
      if (keeper.held) await onTick();
      failing = false;
    } catch (thrown) {
      if (signal.aborted) break;
      const error = AppError.from(thrown);
      if (error.code === "internal") throw thrown;
      if (!failing) warn(error);
      failing = true;
    }
    await sleep(everyMs, signal).catch(() => {});
  }
  await keeping;
  await lease.release().catch(() => {});
}
