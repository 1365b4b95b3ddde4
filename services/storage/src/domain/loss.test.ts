import { describe, expect, it } from "vitest";
import { afterLoss, hostLost, leaseHasPassed, lostRetriesAtMost } from "./loss.ts";

const lease = { after: "retry", leaseMs: 100 } as const;
const long = 1_000;

describe("a lost host", () => {
  it("is believed only when everybody has waited for lease and margin", () => {
    const passed = (silentMs: number, listenedMs: number, placedAgoMs: number) =>
      leaseHasPassed(lease, { silentMs, listenedMs, marginMs: 50 }, placedAgoMs);
    expect(passed(151, 151, 151)).toBe(true);
    expect(passed(150, long, long)).toBe(false);
    expect(passed(long, 150, long)).toBe(false);
    expect(passed(long, long, 150)).toBe(false);
    expect(leaseHasPassed(undefined, { silentMs: long, listenedMs: long, marginMs: 0 }, long)).toBe(false);
  });

  it("is a reason to try again only for a task that asks for it, and not for ever", () => {
    const reason = hostLost("h1", 61_000);
    expect(reason.message).toContain("h1");
    expect(afterLoss(lease, reason, 0)).toEqual({ retry: true, reason });
    expect(afterLoss(lease, reason, lostRetriesAtMost - 1).retry).toBe(true);
    expect(afterLoss(lease, reason, lostRetriesAtMost)).toMatchObject({ retry: false, reason: { code: "HOST_LOST" } });
    expect(afterLoss({ after: "fail", leaseMs: 100 }, reason, 0)).toEqual({ retry: false, reason });
    expect(afterLoss(undefined, reason, 0)).toEqual({ retry: false, reason });
  });
});
