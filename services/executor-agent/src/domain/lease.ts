import { isLive } from "./held-run.ts";
import type { HeldRun } from "./held-run.ts";
import type { Now } from "./steps.ts";

/** No sync was answered yet: before everything, and a number that a journal can hold. */
export const neverMs = -Number.MAX_SAFE_INTEGER;

/**
 * When a run's lease ends, on the elapsed clock; undefined: it has none. One that the database does not know has none: nobody will run its task again, and only
 * a word ends it.
 */
export function leaseEnd(held: HeldRun): number | undefined {
  if (!(held.needs.leaseMs > 0) || !held.known || !isLive(held)) return undefined;
  return held.renewedElapsedMs + held.needs.leaseMs;
}

/** A run whose lease has ended is to stand still: the server may soon run its task elsewhere. */
export function onLease(held: HeldRun, now: Now): HeldRun {
  if (held.frozen || held.stop) return held;
  return (leaseEnd(held) ?? Infinity) <= now.elapsedMs ? { ...held, frozen: true } : held;
}

/**
 * The control plane wants this very run. Its lease counts from when the question was sent: at no later time does the server know that this host was there. A
 * frozen run goes on, if that lease has not passed as well; where it has, one that was unknown until now, and so had none, stands still from here on.
 */
export function renewed(held: HeldRun, askedElapsedMs: number, now: Now): HeldRun {
  if (!isLive(held) || !(held.needs.leaseMs > 0)) return held;
  const renewedElapsedMs = Math.max(held.renewedElapsedMs, askedElapsedMs);
  const frozen = held.frozen && renewedElapsedMs + held.needs.leaseMs <= now.elapsedMs;
  const next = onLease({ ...held, renewedElapsedMs, frozen }, now);
  return renewedElapsedMs === held.renewedElapsedMs && next.frozen === held.frozen ? held : next;
}

/** Whether its process is to stand still: asked for, or because nobody answers. */
export const isToStand = (held: HeldRun): boolean => held.wish === "suspend" || held.frozen;

/** How often this host must ask, so that a lost answer or two freeze nothing; Infinity: as it likes. */
export function askEveryMs(runs: Iterable<HeldRun>): number {
  let shortestMs = Infinity;
  for (const held of runs) if (leaseEnd(held) !== undefined) shortestMs = Math.min(shortestMs, held.needs.leaseMs);
  return shortestMs / 3;
}
