import { AppError } from "@berth/core";
import type { Logger } from "./logger.ts";
import type { Problems } from "./problems.ts";
import { isRetryable, retry } from "./retry.ts";

const code = "DATABASE_UNAVAILABLE";

export interface OpenLateOptions<T> {
  /** Opens the database. Retried with growing pauses if it throws `unavailable`. */
  readonly open: () => Promise<T>;
  readonly opened: (value: T) => Promise<unknown>;
  readonly logger: Logger;
  readonly problems: Problems;
  readonly signal: AbortSignal;
}

/**
 * Opens a database that may be unreachable at the start. Resolves after the first try. If that failed with `unavailable`, retries continue in `running`, which settles
 * as `opened` does. Throws any other error of the first try.
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
