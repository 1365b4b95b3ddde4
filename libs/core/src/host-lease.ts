/**
 * How long a run may go on without its host being heard. At its end the host freezes the run; a margin later the server gives it up, and the task is retried
 * elsewhere or fails. A task without one waits for its host.
 */
export interface HostLease {
  readonly after: "retry" | "fail";
  readonly leaseMs: number;
}

export const defaultHostLeaseMs = 15 * 60_000;

/** No lease is shorter: hosts are heard of every ten seconds, or at a third of their shortest lease. */
export const minHostLeaseMs = 10_000;

/** Between the end of a lease, when the host freezes the run, and giving it up: what clocks and a stalled agent may differ by. */
export const defaultLossMarginMs = 60_000;
