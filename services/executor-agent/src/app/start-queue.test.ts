import { runKey } from "@berth/core";
import type { Run } from "@berth/core";
import { silentLogger } from "@berth/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { memoryJournal } from "../adapters/memory/memory-journal.ts";
import { simDriver } from "../adapters/sim/sim-driver.ts";
import { isLive, takesPlace } from "../domain/held-run.ts";
import type { HeldRun, Phase } from "../domain/held-run.ts";
import { adopted } from "../domain/transitions.ts";
import { RunTable } from "./run-table.ts";
import { StartQueue } from "./start-queue.ts";

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort(new Error("test over"))));

const run = (n: number): Run => ({ epoch: "e", taskId: String(n), attempt: 1 });
const accepted = (n: number, specId: number, cpuMilli = 1000): HeldRun => ({
  ...adopted(runKey(run(n)), run(n)),
  specId,
  needs: { resources: { cpuMilli, memoryBytes: 1 }, timeLimitMs: 0, graceMs: 0, leaseMs: 0 },
  phase: { kind: "accepted" },
});

/** Of a host's state, what does not matter to a start queue. */
const unlimited = {
  journalId: "j",
  termOf: () => 0,
  capacity: { cpuMilli: 2000, memoryBytes: 2 ** 30 },
  canSuspend: true,
  heardElapsedMs: 0,
  waiting: 0,
  isHeld: () => false,
};

/** A host of two processors whose driver has lanes, or has not. */
function setUp(lanes: boolean) {
  const table = new RunTable(memoryJournal(), silentLogger, () => {});
  const driver = simDriver({ capacity: { cpuMilli: 2000, memoryBytes: 2 ** 30 } });
  const features = driver.features();
  const handed: { key: string; lane: string | undefined }[] = [];
  const takenBack: string[] = [];
  let elapsedMs = 0;
  const stop = new AbortController();
  stops.push(stop);
  const now = () => ({ at: new Date(0), elapsedMs });
  const queue = new StartQueue({
    table,
    react(event) {
      const host = { ...unlimited, get: (key: string) => table.get(key), values: () => table.values() };
      for (const effect of event(host, now())) if (effect.do === "save") table.change(effect.held, effect.urgency);
    },
    driver: {
      ...driver,
      features: () => new Set([...features, ...(lanes ? (["lanes"] as const) : [])]),
      takeBack: async (runs) => void takenBack.push(...runs.map(runKey)),
    },
    clock: { bootId: "b", now },
    signal: stop.signal,
    mayStart: () => true,
    start(keys) {
      for (const key of keys) {
        const lane = queue.laneOf(key);
        handed.push({ key, lane });
        put(key, lane === undefined ? { kind: "starting", detail: "" } : { kind: "queued" });
      }
    },
  });
  const put = (key: string, phase: Phase): void => table.change({ ...table.get(key)!, phase }, "memory");
  return {
    table,
    queue,
    handed,
    takenBack,
    add(...runs: HeldRun[]) {
      table.load(runs);
      queue.add(runs.map(({ key }) => key));
    },
    over(n: number) {
      put(runKey(run(n)), { kind: "refused", reason: { code: "X", message: "" }, refusedAt: new Date(0) });
      queue.onOver(runKey(run(n)));
      queue.startSome();
    },
    placed: () => [...table.values()].filter(takesPlace).map(({ run: { taskId } }) => Number(taskId)),
    at: (ms: number) => (elapsedMs = ms),
  };
}

describe("StartQueue", () => {
  it("starts as many as fit, and the next when one is over", () => {
    const { add, over, placed, handed, queue } = setUp(false);
    add(accepted(1, 1), accepted(2, 1), accepted(3, 1));
    expect(placed()).toEqual([1, 2]);
    over(1);
    expect(placed()).toEqual([2, 3]);
    expect(handed.every(({ lane }) => lane === undefined)).toBe(true);
    expect(queue.size).toBe(0);
  });

  it("lines the others up behind runs of their spec; never do more take a place than fit", () => {
    const { add, over, placed, handed, table } = setUp(true);
    add(...Array.from({ length: 40 }, (_, i) => accepted(i + 1, 1)));
    expect(handed.slice(0, 4).map(({ lane }) => lane)).toEqual([undefined, undefined, runKey(run(1)), runKey(run(2))]);
    expect(handed).toHaveLength(22);
    expect(placed()).toEqual([1, 2]);
    over(2);
    expect(placed()).toEqual([1, 4]);
    expect(table.used().cpuMilli).toBe(2000);
    for (let left = 40; left > 0; left -= 1) {
      expect(table.used().cpuMilli).toBeLessThanOrEqual(2000);
      const [next] = placed();
      if (next !== undefined) over(next);
    }
    expect([...table.values()].filter(isLive)).toEqual([]);
    expect(new Set(handed.map(({ key }) => key)).size).toBe(40);
  });

  it("lets another spec wait for a place of its own", () => {
    const { add, over, placed, handed } = setUp(true);
    add(accepted(1, 1), accepted(2, 1), accepted(3, 2, 2000), accepted(4, 1));
    expect(handed.map(({ key }) => key)).toEqual([run(1), run(2)].map(runKey));
    over(1);
    over(2);
    expect(placed()).toEqual([3]);
  });

  it("takes back what waits behind one that takes long", async () => {
    const { add, at, takenBack } = setUp(true);
    add(accepted(1, 1), accepted(2, 1), accepted(3, 1));
    at(1_500);
    await expect.poll(() => takenBack).toEqual([runKey(run(3))]);
    at(3_000);
    await expect.poll(() => takenBack).toEqual([runKey(run(3)), runKey(run(3))]); // the first word may be lost
  });
});
