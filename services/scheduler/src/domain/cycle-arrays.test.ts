import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { later, plan, queueOf, tasks } from "../testing/cycles.ts";
import { brokenInvariant } from "./invariants.ts";

describe("planCycle, arrays", () => {
  const array = (id: string, last: number, maxLive = 0, facts = {}) =>
    aTaskRow(id, { array: { last, step: 1, maxLive, cursor: 1 }, ...facts });

  it("claims elements one after the other, between other tasks of the shape", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("1"), array("2", 2), aTaskRow("3"));
    expect(tasks(plan(queue))).toEqual(["1", "2.1", "2.2", "3"]);
  });

  it("keeps to the number that may be live, and lets others pass meanwhile", () => {
    const queue = queueOf(aHostRow("h1"), array("1", 100, 2), aTaskRow("2"));
    const first = plan(queue);
    expect(tasks(first)).toEqual(["1.1", "1.2", "2"]);
    queue.hold(first);
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aTaskRow("1.1", { state: "over", attempt: 1, hostId: "h1", outcome: "failed" }), later);
    expect(tasks(plan(queue))).toEqual(["1.3"]);
    expect(brokenInvariant(queue)).toBeUndefined();
  });

  it("goes on at once when that number is raised, and only then", () => {
    const queue = queueOf(aHostRow("h1"), array("1", 100, 1));
    queue.hold(plan(queue));
    const changed = (maxLive: number, revision: number) =>
      aTaskRow("1", { revision, state: "running", array: { last: 100, step: 1, maxLive, cursor: 2 } });
    queue.apply(changed(3, 1_000_000), later);
    const more = plan(queue);
    expect(tasks(more)).toEqual(["1.2", "1.3"]);
    queue.hold(more);
    queue.apply(changed(2, 1_000_001), later); // more of it live than may: nothing is undone
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aTaskRow("1.1", { state: "over", attempt: 1, hostId: "h1", outcome: "succeeded" }), later);
    expect(plan(queue).placements).toEqual([]);
    queue.apply(changed(0, 1_000_002), later);
    expect(tasks(plan(queue))).toEqual(["1.4", "1.5"]);
    expect(brokenInvariant(queue)).toBeUndefined();
  });

  it("places an element that waits again before the unclaimed rest", () => {
    const queue = queueOf(aHostRow("h1"), array("1", 100, 2));
    queue.hold(plan(queue));
    queue.apply(aTaskRow("1.1", { state: "placed", attempt: 1, hostId: "h1" }), later);
    queue.apply(aTaskRow("1.1", { attempt: 1 }), later);
    queue.tick(later + 1000);
    expect(plan(queue).placements.map(({ taskId, attempt }) => [taskId, attempt])).toEqual([["1.1", 2]]);
  });

  it("does not claim elements that ended before their turn", () => {
    const queue = queueOf(aHostRow("h1"), array("1", 4), aTaskRow("1.2", { state: "over", outcome: "killed" }));
    expect(tasks(plan(queue))).toEqual(["1.1", "1.3", "1.4"]);
  });

  it("claims again from where storage refused", () => {
    const queue = queueOf(aHostRow("h1"), array("1", 100));
    const first = plan(queue);
    queue.hold(first);
    queue.settle(
      first,
      { placementRefusals: ["", "ARRAY_LIMIT", "STALE_ATTEMPT", "STALE_ATTEMPT"], endRefusals: [] },
      later,
    );
    expect(plan(queue).placements).toEqual([]); // storage knows better: its news is awaited
    queue.tick(later + 1000);
    expect(tasks(plan(queue))).toEqual(["1.2", "1.3", "1.4"]);
    expect(brokenInvariant(queue)).toBeUndefined();
  });
});
