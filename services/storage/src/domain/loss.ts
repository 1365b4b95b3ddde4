import { formatDuration } from "@berth/core";
import type { HostLease, Reason } from "@berth/core";

/** After so many losses a task is not retried: the task itself is probably the cause. */
export const lostRetriesAtMost = 5;

/** How long a host has been silent, by the database's clock; `listenedMs` by the caller's. */
export interface Silence {
  /** Since any store last heard from it; a store's own start counts as having heard from all hosts. */
  readonly silentMs: number;
  /** How long the caller has listened without hearing from it. */
  readonly listenedMs: number;
  readonly marginMs: number;
}

/** Whether a run's lease and the margin have passed; then its host, if alive, has frozen the run. `placedAgoMs`: time since the placement, before which no lease can have begun. */
export function leaseHasPassed(lease: HostLease | undefined, silence: Silence, placedAgoMs: number): boolean {
  if (!lease) return false;
  const allowedMs = lease.leaseMs + silence.marginMs;
  return Math.min(silence.silentMs, silence.listenedMs, placedAgoMs) > allowedMs;
}

/** What happens to a task whose run is lost: it waits for another host if its lease says so and it was not lost too often; otherwise it is over. */
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
