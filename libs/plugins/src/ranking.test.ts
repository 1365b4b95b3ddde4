import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fifoRanking } from "./fifo-ranking.ts";
import { loadRanking } from "./load-ranking.ts";
import type { RankedTask } from "./ranking.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-ranking-"));
afterAll(() => rmSync(dir, { recursive: true }));
const logger = { info: () => {}, warn: () => {} };
const load = (name: string) => loadRanking(name, { weight: 3 }, logger);
function module(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}
const task = (number: number): RankedTask => ({
  taskId: `${number}`,
  number,
  user: "ada",
  project: "p",
  priority: 0,
  needs: { cpuMilli: 1, memoryBytes: 1 },
  submittedAtMs: 0,
});

describe("loadRanking", () => {
  it("has fifo, which goes by submission", async () => {
    const policy = await load("fifo");
    expect(policy.getName()).toBe("fifo");
    expect(policy.schedule([task(3), task(1), task(2)], 0).map(({ number }) => number)).toEqual([1, 2, 3]);
    expect([task(3), task(1)].toSorted(fifoRanking().order).map(({ number }) => number)).toEqual([1, 3]);
  });

  it("imports a site's own from a file and hands it its settings", async () => {
    const path = module(
      "lifo.mjs",
      "let c; export const rankingPolicy = () => ({ getName: () => `lifo ${c.weight}`, setConfig: (config) => { c = config; }, setLogger() {}, schedule: (tasks) => tasks.toReversed() });",
    );
    const policy = await load(path);
    expect(policy.getName()).toBe("lifo 3");
    expect(policy.schedule([task(1), task(2)], 0).map(({ number }) => number)).toEqual([2, 1]);
  });

  it("says what is wrong with one that is not there or not one", async () => {
    for (const name of ["no-such-package", "constructor"])
      await expect(load(name)).rejects.toMatchObject({ code: "invalid", reason: "RANKING_NOT_FOUND" });
    await expect(load(module("a.mjs", "export const other = 1;"))).rejects.toMatchObject({
      reason: "RANKING_INVALID",
      message: expect.stringContaining("rankingPolicy") as string,
    });
    await expect(
      load(module("b.mjs", "export const rankingPolicy = () => ({ getName() {}, setConfig() {}, setLogger() {} });")),
    ).rejects.toMatchObject({ message: expect.stringContaining("schedule") as string });
  });
});
