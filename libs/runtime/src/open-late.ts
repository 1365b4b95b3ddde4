import { AppError } from "@berth/core";
import type { Logger } from "./logger.ts";
import type { Problems } from "./problems.ts";
import { isRetryable, retry } from "./retry.ts";

const code = "DATABASE_UNAVAILABLE";

export interface OpenLateOptions<T> {
  /** Opens the database; what it throws as `unavailable` is tried again, with growing pauses. */
  readonly open: () => Promise<T>;
  readonly opened: (value: T) => Promise<unknown>;
  readonly logger: Logger;
  readonly problems: Problems;
  readonly signal: AbortSignal;
}

/**
 * Opens a database that may be away at the start. Resolves after the first try: where it opened, `opened` was called; where it is away, the rest goes on in
 * `running`, which resolves or rejects as what `opened` answers, and rejects where opening fails otherwise. Throws what the first try did where that is not `unavailable`.
 */
export async function openLate<T>(options: OpenLateOptions<T>): Promise<{ readonly running: Promise<unknown> }> {
  const { open, opened, logger, problems, signal } = options;
  try {
    return { running: opened(await open()) };
  } catch (error) {
    if (!(error instanceof AppError) || !isRetryable(error)) throw error;
    wait(error);
  }
  function wait(error: AppError): void {
    problems.set(code, error.message);
    logger.warn("the database is away; calls are refused until it answers", {
      reason: error.reason,
      error: error.message,
    });
  }
  const running = retry(open, { signal, baseMs: 250, maxMs: 5_000, onRetry: wait }).then((value) => {
    problems.clear(code);
    logger.info("the database answers", {});
    return opened(value);
  });
  return { running };
}
