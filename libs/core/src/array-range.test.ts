import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arraySize, checkRange, formatArray, hasIndex, parseArray, remainingFrom } from "./array-range.ts";
import { maxArrayIndex, parseTaskId, taskId } from "./task-id.ts";

describe("parseArray", () => {
  it.each([
    ["10", { first: 1, last: 10, step: 1, maxLive: 0 }],
    ["0-4", { first: 0, last: 4, step: 1, maxLive: 0 }],
    ["1-100000:2%50", { first: 1, last: 100_000, step: 2, maxLive: 50 }],
  ])("reads %s", (text, range) => {
    expect(parseArray(text)).toEqual(range);
  });

  it.each(["", "0", "5-1", "1-5:0", "1-5%0", "a-b", "1-", "-5", "1-99999999999"])("refuses %j", (text) => {
    expect(() => parseArray(text)).toThrow(/array:/);
  });

  it("takes the largest index, whose id is one, and nothing beyond", () => {
    const most = { first: maxArrayIndex, last: maxArrayIndex, step: 1 };
    checkRange(most);
    expect(parseTaskId(taskId(3, maxArrayIndex))).toBe(`3.${maxArrayIndex}`);
    expect(() => parseTaskId(taskId(3, maxArrayIndex + 1))).toThrow(/task_id:/);
    for (const range of [
      { ...most, last: maxArrayIndex + 1 },
      { ...most, step: maxArrayIndex + 1 },
      { first: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER, step: 1 },
      { first: 2 ** 60, last: 2 ** 60, step: 1 },
      { first: 0.5, last: 1, step: 1 },
    ])
      expect(() => checkRange(range)).toThrow(expect.objectContaining({ reason: "INVALID_ARRAY" }));
  });

  it("never overshoots: 1-10:4 is 1, 5, 9", () => {
    const range = parseArray("1-10:4");
    expect([1, 5, 9, 13].map((i) => hasIndex(range, i))).toEqual([true, true, true, false]);
    expect(arraySize(range)).toBe(3);
  });

  it("counts what is left from any cursor", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), fc.integer({ min: 1, max: 7 }), (first, extra, step) => {
        const range = { first, last: first + extra, step };
        let left = arraySize(range);
        for (let cursor = first; cursor <= range.last; cursor += step) {
          expect(remainingFrom(range, cursor)).toBe(left--);
        }
        expect(left).toBe(0);
      }),
    );
  });

  it("writes what it reads", () => {
    expect(formatArray(parseArray("1-9:2%3"))).toBe("1-9:2%3");
  });
});
