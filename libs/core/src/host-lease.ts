/**
 * How long a run may continue after its host was last heard. At the end of the lease the host freezes the run. A margin later the server gives the run up, and
 * the task is retried elsewhere or fails. A task without a lease waits for its host.
 */
export interface HostLease {
  readonly after: "retry" | "fail";
  readonly leaseMs: number;
}

export const defaultHostLeaseMs = 15 * 60_000;

/** Least length of a lease. A host syncs every ten seconds, or three times per lease if that is shorter. */
export const minHostLeaseMs = 10_000;

/** Time between the end of a lease, when the host freezes the run, and giving the run up. It covers the difference between clocks and a stalled agent. */
export const defaultLossMarginMs = 60_000;
