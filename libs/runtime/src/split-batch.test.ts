import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { splitOnFailure } from "./split-batch.ts";

const bad = AppError.received("internal", "UNREADABLE", "cannot be read");
const ran = (isBad: (n: number) => boolean, error: unknown = bad) => {
  const runs: (readonly number[])[] = [];
  const run = async (items: readonly number[]): Promise<string[]> => {
    runs.push(items);
    if (items.some(isBad)) throw error;
    return items.map(String);
  };
  return { runs, run };
};
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("splitOnFailure", () => {
  it("runs once where all goes well", async () => {
    const { runs, run } = ran(() => false);
    expect(await splitOnFailure([1, 2, 3], run)).toEqual(["1", "2", "3"]);
    expect(runs).toHaveLength(1);
  });

  it("carries out all but the item at fault, in few runs", async () => {
    const { runs, run } = ran((n) => n === 700);
    const results = await splitOnFailure(numbers(1_000), run);
    expect(results.filter((result) => result instanceof AppError)).toEqual([bad]);
    expect(results[700]).toBe(bad);
    expect(results[999]).toBe("999");
    expect(runs.length).toBeLessThan(25);
  });

  it("rejects where no item is well, or the error says nothing about them", async () => {
    const all = ran(() => true, new Error("broken"));
    await expect(splitOnFailure(numbers(1_000), all.run)).rejects.toMatchObject({ reason: "INTERNAL" });
    expect(all.runs.length).toBeLessThan(40);
    await expect(splitOnFailure([1], all.run)).rejects.toMatchObject({ reason: "INTERNAL" });
    const away = ran(() => true, AppError.received("unavailable", "PEER_AWAY", "away"));
    await expect(splitOnFailure([1, 2], away.run)).rejects.toMatchObject({ reason: "PEER_AWAY" });
    expect(away.runs).toHaveLength(1);
  });
});
