import { AppError } from "@berth/core";
import { describe, expect, it } from "vitest";
import { Housekeeping } from "./housekeeping.ts";
import type { HousekeepingStep } from "./housekeeping.ts";

const signal = new AbortController().signal;
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function setUp(steps: (Partial<HousekeepingStep> | Error)[]) {
  const scene = { nowMs: 0, calls: 0, rests: [] as number[], log: [] as string[] };
  const housekeeping = new Housekeeping({
    async step() {
      const next = steps[scene.calls++] ?? {};
      scene.nowMs += 30;
      if (next instanceof Error) throw next;
      return { folded: 0, archived: 0, deleted: 0, more: false, ...next };
    },
    logger: {
      info: (message, fields) => scene.log.push(`${message} ${JSON.stringify(fields)}`),
      warn: (message) => scene.log.push(message),
    },
    now: () => scene.nowMs,
    async sleep(ms) {
      scene.rests.push(ms);
      scene.nowMs += ms;
    },
  });
  return { scene, housekeeping };
}

describe("Housekeeping", () => {
  it("goes on while more is due, with rests, then a minute later", async () => {
    const { scene, housekeeping } = setUp([{ more: true, archived: 2 }, { more: true }, { deleted: 1 }]);
    housekeeping.onTick(signal);
    housekeeping.onTick(signal); // it runs already
    await settled();
    expect(scene).toMatchObject({ calls: 3, rests: [60, 60], log: ['old tasks went {"archived":2,"deleted":1}'] });
    scene.nowMs += 59_000;
    housekeeping.onTick(signal);
    await settled();
    expect(scene.calls).toBe(3);
    scene.nowMs += 1_000;
    housekeeping.onTick(signal);
    await settled();
    expect(scene.calls).toBe(4);
  });

  it("stops when the ticks stop: another holds the lease", async () => {
    const { scene, housekeeping } = setUp(Array.from({ length: 1_000 }, () => ({ more: true })));
    housekeeping.onTick(signal);
    await settled();
    expect(scene.nowMs).toBeLessThan(5_100);
    expect(scene.calls).toBeLessThan(60);
  });

  it("says what fails, but for storage being away", async () => {
    const { scene, housekeeping } = setUp([
      AppError.received("unavailable", "GONE", "gone"),
      AppError.received("internal", "BROKEN", "x"),
    ]);
    housekeeping.onTick(signal);
    await settled();
    expect(scene.log).toEqual([]);
    scene.nowMs += 61_000;
    housekeeping.onTick(signal);
    await settled();
    expect(scene.log).toEqual(["housekeeping failed; it is tried again in a minute"]);
  });
});
