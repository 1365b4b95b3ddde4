import { AppError } from "@berth/core";
import type { Logger } from "../ports/instruments.ts";
import type { TimerLease } from "../ports/run-store.ts";

export interface TimerDeps {
  readonly lease: TimerLease;
  readonly logger: Logger;
  readonly ttlMs: number;
  readonly everyMs: number;
  onTick(): Promise<void>;
  /** Milliseconds of a clock that only goes on. */
  monotonic(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Calls `onTick` every so often, in one of all watchers: the one that holds the lease. Runs until aborted. */
export async function runTimers(
  { lease, logger, ttlMs, everyMs, onTick, monotonic, sleep }: TimerDeps,
  signal: AbortSignal,
): Promise<void> {
  let heldUntilMs = 0;
  let renewAtMs = 0;
  let failing = false;
  while (!signal.aborted) {
    const now = monotonic();
    try {
      if (now >= renewAtMs) {
        renewAtMs = now + ttlMs / 3;
        heldUntilMs = (await lease.acquire(ttlMs, signal)) ? now + ttlMs : 0;
      }
      if (monotonic() < heldUntilMs) await onTick();
      failing = false;
    } catch (thrown) {
      if (signal.aborted) break;
      const error = AppError.from(thrown);
      if (error.code === "internal") throw thrown;
      if (!failing) logger.warn("timers wait for storage", { reason: error.reason, error: error.message });
      failing = true;
    }
    await sleep(everyMs, signal).catch(() => {});
  }
  await lease.release().catch(() => {});
}
