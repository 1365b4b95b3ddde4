import type { HostLease } from "@berth/core";
import type { TaskColumns } from "./columns.ts";

/** A lease as the database has it: positive, then the task is retried; negative, then it fails; 0: there is none. */
export const leaseColumn = (lease: HostLease | undefined): number =>
  lease ? (lease.after === "retry" ? lease.leaseMs : -lease.leaseMs) : 0;

export const leaseOf = ({ lease_ms: column = 0 }: Pick<TaskColumns, "lease_ms">): HostLease | undefined =>
  column === 0 ? undefined : { after: column > 0 ? "retry" : "fail", leaseMs: Math.abs(column) };
