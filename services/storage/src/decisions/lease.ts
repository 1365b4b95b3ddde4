import type { AcquireLeaseRequest, AcquireLeaseResponse, ReleaseLeaseRequest } from "@berth/contracts/store";
import type { Records } from "../ports/records.ts";

/** Acquires or renews a lease, by the database's clock. A new holder gets a new term; a holder that renews keeps its term, even after the lease has expired. */
export function acquireLease(records: Records, { name, holder, ttlMs }: AcquireLeaseRequest): AcquireLeaseResponse {
  const lease = records.lease(name);
  const isHeld = lease !== undefined && lease.expires_at > records.at;
  if (isHeld && lease.holder !== holder) return { held: false, term: lease.term, holder: lease.holder };
  const term = lease?.holder === holder ? lease.term : (lease?.term ?? 0) + 1;
  records.putLease({ name, holder, term, expires_at: records.at + Math.max(0, ttlMs) });
  return { held: true, term, holder };
}

/** Releases a lease. The term stays, so that the next holder's term is larger. */
export function releaseLease(records: Records, { name, holder }: ReleaseLeaseRequest): void {
  const lease = records.lease(name);
  if (lease?.holder === holder) records.putLease({ ...lease, holder: "", expires_at: 0 });
}
