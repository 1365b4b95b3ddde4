import { isLive } from "./held-run.ts";
import type { HeldRun } from "./held-run.ts";
import type { Now } from "./steps.ts";

/** Stands for "no sync was answered yet": earlier than every time, and a number that the journal can store. */
export const neverMs = -Number.MAX_SAFE_INTEGER;

/**
 * When a run's lease ends, on the elapsed clock; undefined if it has none. An unknown run has none, because the server will not run its task elsewhere.
 */
export function leaseEnd(held: HeldRun): number | undefined {
  if (!(held.needs.leaseMs > 0) || !held.known || !isLive(held)) return undefined;
  return held.renewedElapsedMs + held.needs.leaseMs;
}

/** Freezes a run whose lease has ended, because the server may soon run its task elsewhere. */
export function onLease(held: HeldRun, now: Now): HeldRun {
  if (held.frozen || held.stop) return held;
  return (leaseEnd(held) ?? Infinity) <= now.elapsedMs ? { ...held, frozen: true } : held;
}

/**
 * Renews the lease. It counts from the moment the sync was *sent*, the last time the server can be sure this host was alive. A frozen run resumes only if the
 * renewed lease has not ended yet.
 */
export function renewed(held: HeldRun, askedElapsedMs: number, now: Now): HeldRun {
  if (!isLive(held) || !(held.needs.leaseMs > 0)) return held;
  const renewedElapsedMs = Math.max(held.renewedElapsedMs, askedElapsedMs);
  const frozen = held.frozen && renewedElapsedMs + held.needs.leaseMs <= now.elapsedMs;
  const next = onLease({ ...held, renewedElapsedMs, frozen }, now);
  return renewedElapsedMs === held.renewedElapsedMs && next.frozen === held.frozen ? held : next;
}

/** Whether its process must be suspended: a user asked for it, or its lease ended. */
export const isToStand = (held: HeldRun): boolean => held.wish === "suspend" || held.frozen;

/** The longest time between syncs with which one or two lost answers freeze no run; Infinity if no run has a lease. */
export function askEveryMs(runs: Iterable<HeldRun>): number {
  let shortestMs = Infinity;
  for (const held of runs) if (leaseEnd(held) !== undefined) shortestMs = Math.min(shortestMs, held.needs.leaseMs);
  return shortestMs / 3;
}
