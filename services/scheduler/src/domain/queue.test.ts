import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { plan } from "../testing/cycles.ts";
import { brokenInvariant } from "./invariants.ts";
import { Queue } from "./queue.ts";

function held() {
  const queue = new Queue();
  queue.apply(aHostRow("h1"), 0);
  queue.apply(aTaskRow("1"), 0);
  const made = plan(queue);
  queue.hold(made);
  return { queue, made };
}

const refused = (why: string) => ({ placementRefusals: [why], endRefusals: [] });

describe("Queue", () => {
  it("ignores a row that is older than what it knows", () => {
    const queue = new Queue();
    const older = aTaskRow("1");
    queue.apply(aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" }), 0);
    queue.apply(older, 0);
    expect(queue.get("1")!.phase).toBe("running");
  });

  it("keeps a task held when news of before its placement come late", () => {
    const { queue } = held();
    queue.apply(aTaskRow("1"), 0); // something else changed, such as a request
    expect(queue.get("1")!.phase).toBe("held");
  });

  it("does not undo what the feed already told, whatever the answer to a repeated commit says", () => {
    const { queue, made } = held();
    queue.apply(aTaskRow("1", { state: "placed", attempt: 1, hostId: "h1" }), 0);
    queue.settle(made, refused("NOT_PENDING"), 0);
    expect(queue.get("1")!.phase).toBe("placed");
    queue.apply(aTaskRow("1", { state: "over", attempt: 1, hostId: "h1", outcome: "succeeded" }), 0);
    expect(queue.hosts.of("h1").usedCpuMilli).toBe(0);
  });

  it("leaves a host alone for a while that was refused, and opens it at once when its journal is new", () => {
    const { queue, made } = held();
    queue.settle(made, refused("HOST_CHANGED"), 60_000);
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aHostRow("h1", { journalId: "other" }), 60_000);
    expect(plan(queue).placements).toMatchObject([{ taskId: "1", attempt: 1, journalId: "other" }]);
  });

  it("counts tasks on hosts that it does not know yet", () => {
    const queue = new Queue();
    queue.apply(aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" }), 0);
    for (const id of ["2", "3", "4", "5"]) queue.apply(aTaskRow(id), 0);
    queue.apply(aHostRow("h1"), 0);
    expect(plan(queue).placements).toHaveLength(3);
    expect(brokenInvariant(queue)).toBeUndefined();
  });

  it("looks up parents that it does not know, once, and takes one that is gone for lost", () => {
    const queue = new Queue();
    queue.apply(aHostRow("h1"), 0);
    for (const [id, kind] of [
      ["5", "after"],
      ["6", "afterok"],
      ["7", "afterok"],
    ] as const)
      queue.apply(aTaskRow(id, { dependencies: [{ kind, taskId: id === "7" ? "2" : "1" }] }), 0);
    expect(queue.takeUnknownParents(10)).toEqual(["1", "2"]);
    expect(queue.takeUnknownParents(10)).toEqual([]);
    queue.applyOutcomes([
      { taskId: "1", live: false, outcome: undefined },
      { taskId: "2", live: true, outcome: undefined },
    ]);
    const made = plan(queue);
    expect(made.placements.map(({ taskId }) => taskId)).toEqual(["5"]);
    expect(made.ends.map(({ record }) => record.id)).toEqual(["6"]);
    queue.apply(aTaskRow("2", { state: "over", outcome: "succeeded" }), 0);
    expect(plan(queue).placements.map(({ taskId }) => taskId)).toEqual(["5", "7"]);
  });

  it("needs no lookup for a parent whose end it has seen", () => {
    const queue = new Queue();
    queue.apply(aHostRow("h1"), 0);
    queue.apply(aTaskRow("1", { state: "over", outcome: "succeeded" }), 0);
    queue.apply(aTaskRow("2", { dependencies: [{ kind: "afterok", taskId: "1" }] }), 0);
    expect(queue.takeUnknownParents(10)).toEqual([]);
    expect(plan(queue).placements).toHaveLength(1);
  });

  it("keeps the order of submission when tasks come back and go in any order", () => {
    const queue = new Queue();
    for (let n = 1; n <= 200; n++) queue.apply(aTaskRow(`${n}`), 0);
    for (let n = 1; n <= 150; n++) queue.apply(aTaskRow(`${n}`, { state: "placed", attempt: 1, hostId: "h1" }), 0);
    for (const n of [20, 10, 140, 30, 1]) queue.apply(aTaskRow(`${n}`, { attempt: 1 }), 0);
    for (const n of [151, 160, 200]) queue.apply(aTaskRow(`${n}`, { state: "over", outcome: "killed" }), 0);
    queue.apply(aHostRow("h2", { capacity: { cpuMilli: 1_000_000, memoryBytes: 2 ** 40 } }), 0);
    const order = plan(queue).placements.map(({ record }) => record.number);
    expect(order.slice(0, 7)).toEqual([1, 10, 20, 30, 140, 152, 153]);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).toHaveLength(52);
  });

  it("counts what stands before a task, with and without gaps and arrays among it", () => {
    const queue = new Queue();
    for (let n = 1; n <= 10; n++) queue.apply(aTaskRow(`${n}`), 0);
    const before = (id: string) => queue.get(id)!.shape.countBefore(queue.get(id)!);
    expect([before("1"), before("8")]).toEqual([0, 7]);
    queue.apply(aTaskRow("5", { state: "over", outcome: "killed" }), 0);
    expect(before("8")).toBe(6);
    queue.apply(aTaskRow("11", { array: { last: 30, step: 10, maxLive: 0, cursor: 10 } }), 0);
    queue.apply(aTaskRow("12"), 0);
    expect(before("12")).toBe(12);
  });
});
