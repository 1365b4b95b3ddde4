import { describe, expect, it } from "vitest";
import type { StartRun } from "./protocol.ts";
import { RunLanes } from "./run-lanes.ts";

const run = (k: string, l?: string): StartRun => ({
  k,
  c: ["true"],
  e: {},
  t: "/t",
  o: "/o",
  r: "/r",
  m: 0,
  ...(l === undefined ? {} : { l }),
});

describe("RunLanes", () => {
  it("lets what has no lane start, and what comes behind a live run wait for its end", () => {
    const lanes = new RunLanes<StartRun>();
    expect(lanes.enter(run("x"), () => false)).toBe(true);
    expect(lanes.enter(run("b", "a"), (key) => key === "a")).toBe(false);
    expect(lanes.enter(run("c", "a"), () => false)).toBe(false);
    expect(lanes.leave("x")).toBeUndefined();
    expect(lanes.leave("a")?.k).toBe("b");
    expect(lanes.leave("c")).toBeUndefined(); // not its turn yet
    expect(lanes.leave("b")?.k).toBe("c");
    expect(lanes.leave("c")).toBeUndefined();
  });

  it("starts the first that comes behind one that is over, and only that one", () => {
    const lanes = new RunLanes<StartRun>();
    expect(lanes.enter(run("b", "a"), () => false)).toBe(true);
    expect(lanes.enter(run("c", "a"), () => false)).toBe(false);
    expect(lanes.leave("b")?.k).toBe("c");
  });

  it("is stocked while each lane has some behind its current one", () => {
    const lanes = new RunLanes<StartRun>();
    expect(lanes.areStocked).toBe(false);
    for (const key of ["b", "c", "d"]) lanes.enter(run(key, "a"), () => true);
    expect(lanes.areStocked).toBe(true);
    lanes.enter(run("f", "e"), () => true);
    expect(lanes.areStocked).toBe(false);
  });

  it("takes out what waits, and not what runs", () => {
    const lanes = new RunLanes<StartRun>();
    for (const key of ["b", "c"]) lanes.enter(run(key, "a"), () => true);
    expect(["a", "b", "c", "x"].map((key) => lanes.waits(key))).toEqual([false, true, true, false]);
    expect([lanes.remove("a"), lanes.remove("b"), lanes.remove("b")]).toEqual([false, true, false]);
    expect(lanes.leave("a")?.k).toBe("c");
    expect(["b", "c"].map((key) => lanes.waits(key))).toEqual([false, false]);
  });
});
