import type { HostLease } from "@berth/core";
import { splitList } from "./feed-row.ts";

/** What a record says about the loss of its run. */
export interface LossColumns {
  /** How long the run may go on while its host is not heard; 0: until the host comes back. */
  readonly lease_ms: number;
  /**
   * After which ends of a run its task waits for another host: words with commas between. `lost` is the only one so far; other outcomes and exit codes
   * can follow as words, and how often, after what delay and with how much memory as columns of their own.
   */
  readonly retry_on: string;
}

export const noLease: LossColumns = { lease_ms: 0, retry_on: "" };

const lost = "lost";

export const lossColumns = (lease: HostLease | undefined): LossColumns =>
  lease ? { lease_ms: lease.leaseMs, retry_on: lease.after === "retry" ? lost : "" } : noLease;

export const leaseOf = ({ lease_ms: leaseMs, retry_on: retryOn }: LossColumns): HostLease | undefined =>
  leaseMs === 0 ? undefined : { after: splitList(retryOn).includes(lost) ? "retry" : "fail", leaseMs };

/** The columns of a record that was written before `retry_on`: the sign of its lease told what `retry_on` says now. */
export const fromSignedLease = (leaseMs: number): LossColumns => ({
  lease_ms: Math.abs(leaseMs),
  retry_on: leaseMs > 0 ? lost : "",
});
