import { describe, expect, it } from "vitest";
import { fromSignedLease, leaseOf, lossColumns, noLease } from "./loss-columns.ts";

describe("the columns of a lease", () => {
  it("are words, and read back as they were", () => {
    for (const lease of [undefined, { after: "retry", leaseMs: 7 }, { after: "fail", leaseMs: 7 }] as const)
      expect(leaseOf(lossColumns(lease))).toEqual(lease);
    expect(lossColumns({ after: "retry", leaseMs: 7 })).toEqual({ lease_ms: 7, retry_on: "lost" });
  });

  it("know a lost run among other ends that are retried", () => {
    expect(leaseOf({ lease_ms: 7, retry_on: "out_of_memory,lost,exit:75" })).toEqual({ after: "retry", leaseMs: 7 });
    expect(leaseOf({ lease_ms: 7, retry_on: "out_of_memory,exit:75" })).toEqual({ after: "fail", leaseMs: 7 });
  });

  it("are read from records that had a sign instead", () => {
    expect(fromSignedLease(900)).toEqual(lossColumns({ after: "retry", leaseMs: 900 }));
    expect(fromSignedLease(-900)).toEqual(lossColumns({ after: "fail", leaseMs: 900 }));
    expect(fromSignedLease(0)).toEqual(noLease);
  });
});
