import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arraySize } from "@berth/core";
import {
  arrayOutcome,
  claim,
  count,
  endEarly,
  endUnclaimed,
  isDone,
  newArray,
  unclaimed,
  unrecorded,
} from "./array-record.ts";

describe("ArrayRecord", () => {
  it("says how its elements ended", () => {
    const array = newArray({ first: 1, last: 3, step: 1 }, 0);
    count(array, "succeeded", 3);
    expect(arrayOutcome(array, "ada")).toMatchObject({ outcome: "succeeded" }); // a kill that came too late
    const failed = newArray({ first: 1, last: 3, step: 1 }, 0);
    count(failed, "succeeded", 1);
    count(failed, "timed_out", 2);
    expect(arrayOutcome(failed, undefined)).toMatchObject({
      outcome: "failed",
      reason: { message: "2 of 3 elements did not succeed: 2 timed out" },
    });
    expect(arrayOutcome(failed, "ada")).toMatchObject({ outcome: "killed", reason: { message: "killed by ada" } });
  });

  it("knows what an element without a record is", () => {
    const array = newArray({ first: 2, last: 10, step: 4 }, 0);
    claim(array, () => false);
    expect([0, 2, 4, 6, 10, 14].map((index) => unrecorded(array, index))).toEqual([
      undefined,
      "ended",
      undefined,
      "unclaimed",
      "unclaimed",
      undefined,
    ]);
  });

  it("never loses or doubles an element, whatever ends before its turn", () => {
    const range = fc.record({ first: fc.nat(50), length: fc.nat(30), step: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(
        range,
        fc.array(fc.oneof(fc.constant("claim" as const), fc.constant("settle" as const), fc.nat(40)), {
          maxLength: 60,
        }),
        fc.boolean(),
        ({ first, length, step }, steps, killed) => {
          const array = newArray({ first, last: first + length, step }, 0);
          const total = arraySize(array.range);
          const records = new Set<number>();
          for (const each of steps) {
            if (each === "claim") {
              if (array.cursor > array.range.last) continue;
              expect(records.has(array.cursor)).toBe(false);
              records.add(array.cursor);
              claim(array, (index) => records.has(index));
            } else if (each === "settle") {
              if (array.live === 0) continue;
              array.live -= 1;
              count(array, "succeeded", 1);
            } else {
              const index = first + each * step;
              if (records.has(index) || unrecorded(array, index) !== "unclaimed") continue;
              records.add(index);
              endEarly(array, index, "killed", (other) => records.has(other));
            }
            const ended = [...array.ended.values()].reduce((sum, n) => sum + n, 0);
            expect(unclaimed(array) + array.live + array.waiting + ended).toBe(total);
            expect(unclaimed(array)).toBe(total - records.size);
          }
          if (!killed) return;
          endUnclaimed(array, "killed");
          expect(unclaimed(array)).toBe(0);
          expect(isDone(array)).toBe(array.live === 0);
          expect([...array.ended.values()].reduce((sum, n) => sum + n, 0) + array.live).toBe(total);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
