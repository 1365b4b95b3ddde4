import { formatDuration } from "@berth/core";
import type { HostLease, Reason } from "@berth/core";

/** A task that was lost so often is not tried again: rather the task is the cause. */
export const lostRetriesAtMost = 5;

/** What is known of a host that is not heard. All by the database's clock, but for what the asker says of itself. */
export interface Silence {
  /** Since anybody last heard of it; a store counts its own start as having heard of all. */
  readonly silentMs: number;
  /** How long the asker has listened in vain. */
  readonly listenedMs: number;
  readonly marginMs: number;
}

/** Whether a run's lease and the margin have passed: its host, if it lives, has frozen it. `placedAgoMs`: since it was placed; its lease cannot have begun before. */
export function leaseHasPassed(lease: HostLease | undefined, silence: Silence, placedAgoMs: number): boolean {
  if (!lease) return false;
  const allowedMs = lease.leaseMs + silence.marginMs;
  return Math.min(silence.silentMs, silence.listenedMs, placedAgoMs) > allowedMs;
}

/** What becomes of a task whose run is lost: it waits for another host, if it asks for that and was not lost too often; else it is over. */
export function afterLoss(
  lease: HostLease | undefined,
  reason: Reason,
  lostBefore: number,
): { readonly retry: boolean; readonly reason: Reason } {
  if (lease?.after !== "retry") return { retry: false, reason };
  if (lostBefore < lostRetriesAtMost) return { retry: true, reason };
  return {
    retry: false,
    reason: { ...reason, message: `${reason.message}; it was lost ${lostBefore} times before, and is not tried again` },
  };
}

export const hostLost = (hostId: string, silentMs: number): Reason => ({
  code: "HOST_LOST",
  message: `its host ${hostId} was not heard for ${formatDuration(silentMs)}`,
});

export const hostDeclaredLost = (hostId: string, by: string): Reason => ({
  code: "HOST_DECLARED_LOST",
  message: `its host ${hostId} was declared lost by ${by}`,
});

export const databaseRestored: Reason = {
  code: "DATABASE_RESTORED",
  message: "the database was restored from a copy; what became of the run since is not known",
};
