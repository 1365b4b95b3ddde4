import { aHostRow, aTaskRow } from "@berth/test-support";
import { beforeEach, describe, expect, it } from "vitest";
import { later, placed, plan, tasks } from "../testing/cycles.ts";
import { Queue } from "./queue.ts";

describe("a host that refuses tasks", () => {
  let queue: Queue;
  const begin = () => {
    queue = new Queue();
    queue.apply(aHostRow("h1"), 0);
  };
  beforeEach(begin);
  const on = (id: string, attempt: number, user = "ada") =>
    queue.apply(aTaskRow(id, { state: "placed", attempt, hostId: "h1", user }), 0);
  const refused = (id: string, attempt: number, reason: string, nowMs = later, user = "ada") =>
    queue.apply(aTaskRow(id, { attempt, user, reason }), nowMs);
  const host = () => queue.hosts.of("h1");
  /** From then until it takes that user's tasks again, by looking every 100 ms. */
  const restOf = (user: string, nowMs = later): number => {
    for (let ms = 0; ; ms += 100) {
      queue.tick(nowMs + ms);
      if (host().restUntilMs === 0 && !(host().userRests.get(user)?.untilMs ?? 0)) return ms;
    }
  };

  it.each(["OVER_CAPACITY", "ENGINE_ERROR", "TASK_DIR_UNSAFE"])(
    "rests longer each time in a row, until a task starts there: %s",
    (reason) => {
      const rests: number[] = [];
      for (let attempt = 1; attempt <= 4; attempt++) {
        on("1", attempt);
        refused("1", attempt, reason);
        rests.push(restOf("ada"));
      }
      expect(rests).toEqual([500, 1000, 2000, 4000]);
      on("1", 5);
      queue.apply(aTaskRow("1", { state: "running", attempt: 5, hostId: "h1" }), 0);
      on("2", 1);
      refused("2", 1, reason);
      expect(restOf("ada")).toBe(500);
    },
  );

  it.each(["OVER_CAPACITY", "ENGINE_ERROR", "TASK_DIR_UNSAFE"])("takes one burst for one refusal: %s", (reason) => {
    for (let n = 1; n <= 100; n++) on(`${n}`, 1);
    for (let n = 1; n <= 50; n++) refused(`${n}`, 1, reason);
    expect(restOf("ada")).toBe(500);
    for (let n = 51; n <= 100; n++) refused(`${n}`, 1, reason, later + 600);
    expect(restOf("ada", later + 600)).toBe(0);
    on("1", 2);
    refused("1", 2, reason);
    expect(restOf("ada")).toBe(1000);
  });

  it("rests for one user whose tasks it refuses, and for all users after host faults of two users", () => {
    for (const [reason, others] of [
      ["TASK_DIR_UNSAFE", ["3@h1", "4@h1"]],
      ["ENGINE_ERROR", []],
    ] as const) {
      begin();
      on("1", 1);
      on("2", 1, "bob");
      queue.apply(aTaskRow("3", { user: "eve" }), 0);
      queue.apply(aTaskRow("4", { user: "eve" }), 0);
      refused("1", 1, reason);
      expect(placed(plan(queue))).toEqual(["3@h1", "4@h1"]);
      refused("2", 1, reason, later, "bob");
      expect(placed(plan(queue))).toEqual(others);
    }
  });

  it("still takes what fits at once, where it was given more ahead than it came to", () => {
    const over = (id: string) =>
      queue.apply(aTaskRow(id, { state: "over", outcome: "succeeded", attempt: 1, hostId: "h1", ranMs: 2 }), later);
    const small = { cpuMilli: 10, memoryBytes: 1 };
    const add = (from: number, to: number) => {
      for (let n = from; n <= to; n++) queue.apply(aTaskRow(`${n}`, { needs: small }), later);
    };
    queue.apply(aTaskRow("1", { state: "placed", attempt: 1, hostId: "h1", needs: small }), later);
    over("1");
    add(2, 2_000);
    const first = plan(queue);
    expect(first.placements).toHaveLength(400 + 512);
    queue.hold(first);
    for (const id of tasks(first))
      queue.apply(aTaskRow(id, { state: "placed", attempt: 1, hostId: "h1", needs: small }), later);
    for (const id of tasks(first).slice(0, 400)) over(id);
    for (const id of tasks(first).slice(400))
      queue.apply(aTaskRow(id, { attempt: 1, needs: small, reason: "OVER_CAPACITY" }), later);
    const second = plan(queue);
    expect(second.placements).toHaveLength(400 + 256);
    expect(restOf("ada")).toBe(0);
  });
});
