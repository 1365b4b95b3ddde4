import { describe, expect, it } from "vitest";
import { ArrayClaims } from "./array-claims.ts";

const claims = (facts: { last?: number; step?: number; maxLive?: number; cursor?: number } = {}) =>
  new ArrayClaims({ last: 10, step: 1, maxLive: 0, cursor: 1, ...facts });

describe("ArrayClaims", () => {
  it("goes up to its last index and no further", () => {
    const array = claims({ step: 4 });
    const seen: number[] = [];
    for (; !array.exhausted; array.claimedUpTo(array.after(array.next))) seen.push(array.next);
    expect(seen).toEqual([1, 5, 9]);
    expect(array.unclaimed()).toBe(0);
  });

  it("steps over elements that ended before their turn", () => {
    const array = claims({ last: 4 });
    array.skip(1);
    array.skip(3);
    expect(array.next).toBe(2);
    expect(array.unclaimed()).toBe(2);
    expect(array.after(2)).toBe(4);
    expect([1, 2, 3, 4, 5].map((index) => array.awaits(index))).toEqual([false, true, false, true, false]);
  });

  it("takes back a claim that did not hold, but never what is committed", () => {
    const array = claims();
    array.claimedUpTo(8);
    array.apply({ last: 10, step: 1, maxLive: 0, cursor: 5 });
    array.takeBack(3);
    expect(array.next).toBe(5);
    array.takeBack(9);
    expect(array.next).toBe(5);
  });

  it("is at its limit when as many are live as may be", () => {
    const array = claims({ maxLive: 2 });
    array.live = 1;
    expect(array.atLimit()).toBe(false);
    expect(array.atLimit(1)).toBe(true);
    expect(claims().atLimit(1_000_000)).toBe(false);
  });
});
