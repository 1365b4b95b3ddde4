import { GiB } from "@berth/core";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { later, fixedRandom, placed, plan, queueOf, tasks } from "../testing/cycles.ts";
import { planCycle, policyWith } from "./cycle.ts";
import { filtersFor } from "./filters.ts";
import { brokenInvariant } from "./invariants.ts";
import { Queue } from "./queue.ts";
import type { RankedTask, Ranking } from "./ranking.ts";

describe("planCycle", () => {
  it("places tasks in the order of their submission until nothing is free", () => {
    const queue = queueOf(aHostRow("h1"), ...["1", "2", "3", "4", "5"].map((id) => aTaskRow(id)));
    expect(placed(plan(queue))).toEqual(["1@h1", "2@h1", "3@h1", "4@h1"]);
  });

  it("leaves the queue as it was, and plans the same from the same", () => {
    const queue = queueOf(
      aHostRow("h1"),
      aHostRow("h2"),
      ...Array.from({ length: 20 }, (_, i) => aTaskRow(`${i + 1}`, { user: `u${i % 3}` })),
    );
    const first = plan(queue);
    expect(placed(plan(queue))).toEqual(placed(first));
    expect(brokenInvariant(queue)).toBeUndefined();
    expect(queue.pending).toBe(20);
  });

  it("names the attempt after the last and the host's journal", () => {
    const queue = queueOf(aHostRow("h1", { journalId: "j7" }), aTaskRow("1", { attempt: 3 }));
    expect(plan(queue).placements[0]).toMatchObject({ taskId: "1", attempt: 4, journalId: "j7" });
  });

  it("never places more than a host has free of either, what is unknown there included", () => {
    const unknownUse = { cpuMilli: 1000, memoryBytes: 6 * GiB };
    const queue = queueOf(
      aHostRow("h1", { unknownUse }),
      ...["1", "2", "3"].map((id) => aTaskRow(id, { needs: { cpuMilli: 100, memoryBytes: GiB } })),
    );
    expect(tasks(plan(queue))).toEqual(["1", "2"]);
  });

  it("counts what is held until storage has answered and the feed has told", () => {
    const queue = queueOf(aHostRow("h1"), ...Array.from({ length: 6 }, (_, i) => aTaskRow(`${i + 1}`)));
    const first = plan(queue);
    queue.hold(first);
    expect(plan(queue).placements).toEqual([]);
    queue.settle(first, { placementRefusals: ["", "", "", ""], endRefusals: [] }, later);
    queue.apply(aTaskRow("1", { state: "over", attempt: 1, hostId: "h1", outcome: "succeeded" }), later);
    expect(tasks(plan(queue))).toEqual(["5"]);
  });

  it("starts no task of a disabled user, and keeps nobody else waiting for them", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("1", { user: "bob" }), aTaskRow("2"));
    queue.disabledUsers = new Set(["bob"]);
    expect(tasks(plan(queue))).toEqual(["2"]);
    queue.disabledUsers = new Set();
    expect(tasks(plan(queue))).toEqual(["1", "2"]);
  });

  it("lets a shape behind one that does not fit go ahead", () => {
    const large = { cpuMilli: 4000, memoryBytes: GiB };
    const queue = queueOf(
      aHostRow("h1"),
      aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" }),
      aTaskRow("2", { needs: large }),
      aTaskRow("3", { needs: large }),
      aTaskRow("4"),
    );
    expect(tasks(plan(queue))).toEqual(["4"]);
  });

  it("packs: of hosts that fit it takes the fullest", () => {
    const queue = queueOf(
      aHostRow("h1"),
      aHostRow("h2"),
      aTaskRow("1", { state: "running", attempt: 1, hostId: "h2" }),
      aTaskRow("2"),
    );
    expect(placed(plan(queue))).toEqual(["2@h2"]);
  });

  it("avoids hosts that are silent, that rest after a refusal, or where the task failed before", () => {
    const queue = queueOf(
      aHostRow("h1", { up: false }),
      aHostRow("h2"),
      aHostRow("h3"),
      aTaskRow("9", { state: "placed", attempt: 1, hostId: "h2" }),
      aTaskRow("1"),
    );
    queue.apply(aTaskRow("9", { attempt: 1, avoidHosts: ["h3"] }), later);
    expect(placed(plan(queue))).toEqual(["1@h3"]);
    expect(queue.tick(later + 600)).toBe(false);
    expect(placed(plan(queue))).toEqual(["1@h2", "9@h2"]);
  });

  it("tries a host again where the task failed before, if no other could ever take it", () => {
    const small = { cpuMilli: 500, memoryBytes: 1 * GiB };
    const queue = queueOf(
      aHostRow("h1"),
      aHostRow("h2", { capacity: small }),
      aTaskRow("1", { attempt: 1, avoidHosts: ["h1"] }),
    );
    expect(placed(plan(queue))).toEqual(["1@h1"]);
  });

  it("places higher priorities of a user first, and takes nothing from other users by that", () => {
    const queue = queueOf(
      aHostRow("h1"),
      aTaskRow("1"),
      aTaskRow("2", { user: "bob" }),
      aTaskRow("3", { priority: 10 }),
      aTaskRow("4", { user: "bob" }),
      aTaskRow("5", { user: "bob", priority: -1 }),
    );
    expect(tasks(plan(queue))).toEqual(["2", "3", "1", "4"]);
  });

  it("plans no more than its limit and says that there is more", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("1"), aTaskRow("2"), aTaskRow("3"));
    const first = plan(queue, { maxPlacements: 2 });
    expect(tasks(first)).toEqual(["1", "2"]);
    expect(first.more).toBe(true);
    expect(plan(queue).more).toBe(false);
  });

  it("asks a policy that only sorts once for each round of heads", () => {
    const asked: string[][] = [];
    const lastUserFirst: Ranking = {
      order: undefined,
      schedule(heads) {
        asked.push(heads.map(({ taskId }) => taskId));
        return heads.toSorted((a, b) => (a.user < b.user ? 1 : -1));
      },
    };
    const queue = queueOf(
      aHostRow("h1", { capacity: { cpuMilli: 3000, memoryBytes: 8 * GiB } }),
      aTaskRow("1"),
      aTaskRow("2"),
      aTaskRow("3", { user: "bob" }),
      aTaskRow("4", { user: "bob" }),
    );
    expect(tasks(plan(queue, {}, lastUserFirst))).toEqual(["3", "1", "4"]);
    expect(asked[0]).toEqual(["1", "3"]);
    expect(asked[1]).toEqual(["2", "4"]);
  });

  it("ignores what a policy returns twice or invents", () => {
    const odd: Ranking = {
      order: undefined,
      schedule: (heads) => [...heads, ...heads, { ...heads[0]!, taskId: "77" } satisfies RankedTask],
    };
    const queue = queueOf(aHostRow("h1"), aTaskRow("1"), aTaskRow("2"));
    expect(tasks(plan(queue, {}, odd))).toEqual(["1", "2"]);
  });

  it("places only where the driver has what the site requires", () => {
    const queue = new Queue({ requiredFeatures: ["memory", "identity"] });
    for (const row of [aHostRow("h1"), aHostRow("h2", { features: ["identity", "memory"] }), aTaskRow("1")])
      queue.apply(row, 0);
    const made = planCycle(queue, policyWith(fifoRanking(), filtersFor(["memory", "identity"])), later, fixedRandom);
    expect(placed(made)).toEqual(["1@h2"]);
  });
});
