import { describe, expect, it } from "vitest";
import { Lanes } from "./lanes.ts";

describe("Lanes", () => {
  it("puts runs behind the shortest lane of their spec, and none where there is no such lane", () => {
    const lanes = new Lanes();
    lanes.open("a", 1);
    lanes.open("b", 1);
    lanes.open("x", 2);
    expect([lanes.join("c", 1, 0), lanes.join("d", 1, 0), lanes.join("e", 1, 0)]).toEqual(["a", "b", "a"]);
    expect(lanes.join("f", 3, 0)).toBeUndefined();
    expect(lanes.waiting).toBe(3);
  });

  it("gives a lane's place on when its first is over, and to nobody when one behind it leaves", () => {
    const lanes = new Lanes();
    lanes.open("a", 1);
    for (const key of ["b", "c", "d"]) lanes.join(key, 1, 0);
    expect(lanes.leave("c")).toBeUndefined();
    expect(lanes.leave("a")).toBe("b");
    expect(lanes.join("e", 1, 0)).toBe("a");
    expect(["b", "d", "e"].map((key) => lanes.leave(key))).toEqual(["d", "e", undefined]);
    expect(lanes.join("f", 1, 0)).toBeUndefined();
    expect(lanes.waiting).toBe(0);
  });

  it("knows in which lane a run waits, until it is its turn", () => {
    const lanes = new Lanes();
    lanes.open("a", 1);
    lanes.join("b", 1, 0);
    expect(["a", "b", "x"].map((key) => lanes.laneOf(key))).toEqual([undefined, "a", undefined]);
    lanes.leave("a");
    expect(lanes.laneOf("b")).toBeUndefined();
  });

  it("has room for a few behind each", () => {
    const lanes = new Lanes();
    lanes.open("a", 1);
    const joined = Array.from({ length: 20 }, (_, i) => lanes.join(`r${i}`, 1, 0)).filter((lane) => lane === "a");
    expect(joined).toHaveLength(10);
  });

  it("names those that wait too long, again if they wait on, and not the one whose turn came", () => {
    const lanes = new Lanes();
    lanes.open("a", 1);
    lanes.join("b", 1, 0);
    lanes.join("c", 1, 0);
    lanes.leave("a");
    expect(lanes.late(1_000)).toEqual([]);
    expect(lanes.late(1_001)).toEqual(["c"]);
    expect(lanes.late(2_001)).toEqual([]);
    expect(lanes.late(2_002)).toEqual(["c"]);
    lanes.leave("c");
    expect(lanes.late(9_000)).toEqual([]);
  });
});
