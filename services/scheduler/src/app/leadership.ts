import type { Lease } from "../ports/plan-store.ts";

export interface LeadershipDeps {
  acquire(ttlMs: number, signal: AbortSignal): Promise<Lease>;
  readonly ttlMs: number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Waits until the lease is held; returns its term. Throws only when aborted. */
export async function waitForLease(
  { acquire, ttlMs, sleep }: LeadershipDeps,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const lease = await acquire(ttlMs, signal);
      if (lease.held) return lease.term;
    } catch (error) {
      signal.throwIfAborted();
      onError(error);
    }
    await sleep(ttlMs / 3, signal);
  }
}

/**
 * Renews at a third of the lease's life. Resolves with why it is over: another holds it, or its term changed.
 *
 * Storage that does not answer in time ends nothing: each plan is fenced by its term, so whoever still believes to lead can do no harm, and a leader that gave up
 * because storage is busy would make it busier by a new snapshot.
 */
export async function keepLease(
  { acquire, ttlMs, sleep }: LeadershipDeps,
  term: number,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    await sleep(ttlMs / 3, signal);
    try {
      const lease = await acquire(ttlMs, signal);
      if (!lease.held) return `${lease.holder} holds it`;
      if (lease.term !== term) return `its term is ${lease.term} now`;
    } catch {
      signal.throwIfAborted();
    }
  }
}
