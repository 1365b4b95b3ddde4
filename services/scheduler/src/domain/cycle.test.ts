import { GiB, MiB } from "@berth/core";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { planCycle, policyWith } from "./cycle.ts";
import type { CycleLimits } from "./cycle.ts";
import type { FeedRow } from "./feed.ts";
import { filtersFor } from "./filters.ts";
import { brokenInvariant } from "./invariants.ts";
import type { Plan } from "./plan.ts";
import { Queue } from "./queue.ts";
import type { RankedTask, Ranking } from "./ranking.ts";

const lot = (): number => 0.5;
const later = 60_000;

function queueOf(...rows: FeedRow[]): Queue {
  const queue = new Queue();
  for (const row of rows) queue.apply(row, 0);
  return queue;
}

const plan = (queue: Queue, limits: Partial<CycleLimits> = {}, ranking: Ranking = fifoRanking()): Plan =>
  planCycle(queue, policyWith(ranking, undefined, limits), later, lot);

const placed = ({ placements }: Plan) => placements.map(({ taskId, host }) => `${taskId}@${host.id}`);
const tasks = ({ placements }: Plan) => placements.map(({ taskId }) => taskId);

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

  describe("with short tasks", () => {
    const over = (id: string, ranMs: number) =>
      aTaskRow(id, { state: "over", outcome: "succeeded", attempt: 1, hostId: "h1", ranMs });
    const queueAfter = (ranMs: number, ...rows: FeedRow[]): Queue => {
      const queue = queueOf(aHostRow("h1"), aTaskRow("1", { state: "placed", attempt: 1, hostId: "h1" }));
      for (const row of [over("1", ranMs), ...rows]) queue.apply(row, later);
      return queue;
    };
    const many = Array.from({ length: 400 }, (_, i) => aTaskRow(`${i + 10}`));

    it("gives a host some to wait there, so that it is not idle until the next cycle", () => {
      expect(plan(queueAfter(2, ...many)).placements.length).toBe(4 * 65);
      expect(brokenInvariant(queueAfter(2, ...many))).toBeUndefined();
    });

    it("gives it no more than it can run where they take longer, or none has run yet", () => {
      expect(plan(queueAfter(500, ...many)).placements.length).toBe(4);
      expect(plan(queueOf(aHostRow("h1"), ...many)).placements.length).toBe(4);
    });

    it("gives it no more than it can run while something else waits", () => {
      const large = aTaskRow("5", { needs: { cpuMilli: 4000, memoryBytes: GiB } });
      expect(placed(plan(queueAfter(2, large, ...many)))).toEqual(["5@h1"]);
    });
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
    const made = planCycle(queue, policyWith(fifoRanking(), filtersFor(["memory", "identity"])), later, lot);
    expect(placed(made)).toEqual(["1@h2"]);
  });
});

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
    queue.apply(changed(3, 1_000), later);
    const more = plan(queue);
    expect(tasks(more)).toEqual(["1.2", "1.3"]);
    queue.hold(more);
    queue.apply(changed(2, 1_001), later); // more of it live than may: nothing is undone
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aTaskRow("1.1", { state: "over", attempt: 1, hostId: "h1", outcome: "succeeded" }), later);
    expect(plan(queue).placements).toEqual([]);
    queue.apply(changed(0, 1_002), later);
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

describe("planCycle, ends", () => {
  it("ends what asks for more than any host has, once the hosts have been known for a while", () => {
    const needs = { cpuMilli: 64_000, memoryBytes: 256 * MiB };
    const queue = queueOf(aTaskRow("1", { needs }), aTaskRow("2"));
    expect(plan(queue).ends).toEqual([]);
    queue.apply(aHostRow("h1"), later - 1000);
    expect(plan(queue).ends).toEqual([]);
    const { ends } = planCycle(queue, policyWith(fifoRanking()), later + 10_000, lot);
    expect(ends.map(({ record, outcome, reason }) => [record.id, outcome, reason.code])).toEqual([
      ["1", "rejected", "NO_HOST_LARGE_ENOUGH"],
    ]);
  });

  it("starts a child when its parent ended, and ends it at once when that can never be", () => {
    const needs = (taskId: string, kind: "after" | "afterok") => ({ dependencies: [{ kind, taskId }] });
    const queue = queueOf(
      aHostRow("h1"),
      aTaskRow("1", { state: "running", attempt: 1, hostId: "h1" }),
      aTaskRow("2", needs("1", "after")),
      aTaskRow("3", needs("1", "afterok")),
      aTaskRow("4", needs("3", "after")),
    );
    expect(plan(queue).placements).toEqual([]);
    queue.apply(aTaskRow("1", { state: "over", attempt: 1, outcome: "failed" }), later);
    const made = plan(queue);
    expect(tasks(made)).toEqual(["2"]);
    expect(made.ends.map(({ record, outcome, reason }) => [record.id, outcome, reason.code])).toEqual([
      ["3", "dependency_failed", "DEPENDENCY_FAILED"],
    ]);
    expect(made.ends[0]!.reason.message).toContain("task 1");
    queue.hold(made);
    expect(plan(queue).ends).toEqual([]);
    queue.apply(aTaskRow("3", { state: "over", outcome: "dependency_failed" }), later);
    expect(tasks(plan(queue))).toEqual(["4"]);
  });

  it("plans an end again that storage refused without saying why", () => {
    const queue = queueOf(aHostRow("h1"), aTaskRow("1", { needs: { cpuMilli: 64_000, memoryBytes: 1 } }));
    const made = plan(queue);
    queue.hold(made);
    queue.settle(made, { placementRefusals: [], endRefusals: ["NOT_PENDING"] }, later);
    expect(plan(queue).ends).toEqual([]);
    queue.tick(later + 1000);
    expect(plan(queue).ends).toHaveLength(1);
  });
});
