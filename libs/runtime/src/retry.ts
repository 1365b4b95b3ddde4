import { AppError } from "@berth/core";
import type { ErrorCode } from "@berth/core";

/** Codes that are retried automatically. After a conflict the caller has to read again first. */
const retryable: Readonly<Record<ErrorCode, boolean>> = {
  invalid: false,
  "not-found": false,
  conflict: false,
  precondition: false,
  quota: false,
  denied: false,
  unauthenticated: false,
  unavailable: true,
  internal: false,
};

export interface RetryOptions {
  readonly signal?: AbortSignal;
  /** Most calls, with the first one; unlimited if undefined. */
  readonly attempts?: number;
  /** No further try starts after this time. */
  readonly forMs?: number;
  readonly baseMs?: number;
  readonly maxMs?: number;
  readonly random?: () => number;
  /** Called before each pause. */
  readonly onRetry?: (error: AppError, waitMs: number) => void;
}

/**
 * Calls `fn` until it succeeds or fails with a code that is not retried, and throws that error. The pauses between tries double, with jitter. Aborted, it
 * throws the signal's reason.
 */
export async function retry<T>(fn: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { signal, attempts = Infinity, forMs = Infinity, random = Math.random } = options;
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await fn();
    } catch (thrown) {
      const error = AppError.from(thrown);
      const waitMs = backoffMs(attempt, random, options);
      if (!isRetryable(error) || attempt >= attempts || performance.now() + waitMs - startedAt > forMs) throw thrown;
      options.onRetry?.(error, waitMs);
      await sleep(waitMs, signal);
    }
  }
}

export const isRetryable = (error: AppError): boolean => retryable[error.code];

/** A random pause between half and all of a doubling time, so that callers that failed together do not retry together. */
export function backoffMs(
  attempt: number,
  random: () => number,
  { baseMs = 50, maxMs = 5_000 }: { readonly baseMs?: number; readonly maxMs?: number } = {},
): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30)) * (0.5 + random() / 2);
}

/** Waits. If aborted, rejects with the signal's reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
