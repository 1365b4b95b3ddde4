import { expect, it } from "vitest";
import type { MongoCalls, Query } from "./calls.ts";
import { attemptKey, chunkKey } from "./collections.ts";
import { removeLeftovers } from "./leftovers.ts";

type Id = string | number;
interface Range {
  readonly $gte: string;
  readonly $lt?: string;
  readonly $lte?: string;
}

it("removes what a large array left in steps of a thousand, and nothing of its neighbours", async () => {
  const numbers = Array.from({ length: 2_500 }, (_, n) => n);
  const neighbours = [6, 8].flatMap((number) => [
    chunkKey(number, 0),
    attemptKey(number, 0, 1),
    attemptKey(number, -1, 1),
  ]);
  const stored: Record<string, Id[]> = {
    remains: [7],
    folded: [...numbers.map((chunk) => chunkKey(7, chunk)), ...neighbours].toSorted(),
    attempts: [...numbers.map((idx) => attemptKey(7, idx, 1)), ...neighbours].toSorted(),
  };
  const removed: number[] = [];
  const fits = (id: Id, wanted: Id | Range | undefined): boolean =>
    wanted === undefined ||
    (typeof wanted === "object"
      ? id >= wanted.$gte &&
        (wanted.$lt === undefined || id < wanted.$lt) &&
        (wanted.$lte === undefined || id <= wanted.$lte)
      : id === wanted);
  const calls = {
    find: async (name: string, { _id }: Query, { limit }: { limit: number }) =>
      stored[name]!.filter((id) => fits(id, _id as Range))
        .slice(0, limit)
        .map((id) => ({ _id: id })),
    async deleteMany(name: string, { _id }: Query) {
      const rest = stored[name]!.filter((id) => !fits(id, _id as Range));
      removed.push(stored[name]!.length - rest.length);
      stored[name] = rest;
    },
  } as unknown as MongoCalls;
  let steps = 0;
  while (await removeLeftovers(calls)) steps += 1;
  expect(removed).toEqual([1_000, 1_000, 500, 1_000, 1_000, 500, 1]);
  expect(steps).toBe(7);
  expect(stored).toEqual({ remains: [], folded: neighbours.toSorted(), attempts: neighbours.toSorted() });
});
