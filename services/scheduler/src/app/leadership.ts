import type { Lease } from "../ports/plan-store.ts";

export interface LeadershipDeps {
  acquire(ttlMs: number, signal: AbortSignal): Promise<Lease>;
  readonly ttlMs: number;
  /** Milliseconds of a clock that only goes on. */
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Waits until the lease is held; returns its term. Throws only when aborted. */
export async function waitForLease(deps: LeadershipDeps, signal: AbortSignal, onError: (error: unknown) => void): Promise<{ term: number; untilMs: number }> {
  for (;;) {
    signal.throwIfAborted();
    const askedAtMs = deps.now();
    try {
      const lease = await deps.acquire(deps.ttlMs, signal);
      if (lease.held) return { term: lease.term, untilMs: askedAtMs + deps.ttlMs };
    } catch (error) {
      signal.throwIfAborted();
      onError(error);
    }
    await deps.sleep(deps.ttlMs / 3, signal);
  }
}

/**
 * Renews at a third of the lease's life. Resolves with why it is over: another holds it, its term changed, or it could not be renewed before it ran out,
 * counted from when the last good renewal was asked for.
 */
export async function keepLease(deps: LeadershipDeps, held: { term: number; untilMs: number }, signal: AbortSignal): Promise<string> {
  let { untilMs } = held;
  for (;;) {
    await deps.sleep(deps.ttlMs / 3, signal);
    const askedAtMs = deps.now();
    if (askedAtMs >= untilMs) return "it ran out";
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(untilMs - askedAtMs))]);
    try {
      const lease = await deps.acquire(deps.ttlMs, inTime);
      if (!lease.held) return `${lease.holder} holds it`;
      if (lease.term !== held.term) return `its term is ${lease.term} now`;
      untilMs = askedAtMs + deps.ttlMs;
    } catch {
      signal.throwIfAborted();
    }
  }
}
