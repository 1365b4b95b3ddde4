import type { AcquireLeaseRequest, AcquireLeaseResponse, ReleaseLeaseRequest } from "@berth/contracts/store";
import type { Batch } from "./batch.ts";
import type { LeaseDoc } from "./collections.ts";

/** Takes or renews a lease. Only the database's clock counts; a new holder gets a new term, a holder that renews (late, too) keeps its own. */
export function acquireLease(batch: Batch, { name, holder, ttlMs }: AcquireLeaseRequest): AcquireLeaseResponse {
  const lease = batch.lease(name);
  const isHeld = lease !== undefined && lease.expires_at > batch.at;
  if (isHeld && lease.holder !== holder) return { held: false, term: lease.term, holder: lease.holder };
  const term = lease?.holder === holder ? lease.term : (lease?.term ?? 0) + 1;
  batch.changes.leases.set(name, { name, holder, term, expires_at: batch.at + Math.max(0, ttlMs) });
  return { held: true, term, holder };
}

/** Gives a lease back. Its term stays, so that the next holder's is larger. */
export function releaseLease(batch: Batch, { name, holder }: ReleaseLeaseRequest): void {
  const lease = batch.lease(name);
  if (lease?.holder === holder) batch.changes.leases.set(name, { ...lease, holder: "", expires_at: 0 });
}

export const schedulerTerm = (lease: LeaseDoc | undefined): number => lease?.term ?? 0;
