import type { FeedLimits } from "./feed.ts";

export interface MongoOptions {
  /** In the place of the database's clock, for tests that move it. */
  readonly now?: () => number;
  /** In the place of this machine's timers, for tests that set that clock; by default `now` is never set. */
  readonly steadyMs?: () => number;
  readonly feed?: FeedLimits;
  /** How long ago an element must have ended to be folded; a minute, so that what is asked for most is at hand. */
  readonly foldAfterMs?: number;
  /** Told when the clock jumped ahead: for a while nothing is archived or deleted. */
  readonly onClockJump?: (believedAtMs: number, nowMs: number) => void;
  /** Told of each durable commit: how many calls it holds and how long it took. */
  readonly onCommit?: (items: number, ms: number) => void;
  /** Told when a transaction was begun again: another copy was first, or its end had to be read back. */
  readonly onRetry?: (why: "conflict" | "unknown") => void;
  /** Told when the stream that tells of others' commits comes and goes; without it they are looked for. */
  readonly onStream?: (isThere: boolean) => void;
  /** An operator's word that the database was restored: another one than the last begins a new epoch. Empty: none. */
  readonly newEpoch?: string;
  /** Told of a new epoch, and of how many runs were given up for it. */
  readonly onRenewed?: (renewed: { readonly epoch: string; readonly before: string; readonly lost: number }) => void;
  /** How long a write is tried again while the database is away; then it fails with `unavailable`. */
  readonly patienceMs?: number;
}
