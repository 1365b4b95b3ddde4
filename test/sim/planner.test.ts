import { fifoRanking } from "@berth/plugins";
import { brokenInvariant, explain, planCycle, policyWith, Queue, standardFilters } from "@berth/scheduler";
import type { Plan } from "@berth/scheduler";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ModelStore } from "./model-store.ts";

const GiB = 2 ** 30;
const needs = fc.record({
  cpuMilli: fc.constantFrom(500, 1000, 2000),
  memoryBytes: fc.constantFrom(GiB, 2 * GiB, 4 * GiB),
});
const user = fc.constantFrom("ada", "bob", "eve");

/** One thing that happens. Numbers pick among what there is at that moment. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("submit" as const),
      user,
      needs,
      priority: fc.constantFrom(0, 0, 0, 5),
      on: fc.option(fc.record({ which: fc.nat(), kind: fc.constantFrom("after" as const, "afterok" as const) }), {
        nil: undefined,
        freq: 3,
      }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("array" as const),
      user,
      needs,
      elements: fc.integer({ min: 1, max: 8 }),
      maxLive: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("host" as const),
      which: fc.nat(3),
      up: fc.boolean(),
      journal: fc.nat(1),
      cpu: fc.constantFrom(2000, 4000),
    }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("cycle" as const), readAhead: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("read" as const), rows: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("report" as const),
      which: fc.nat(),
      what: fc.constantFrom("start" as const, "succeeded" as const, "failed" as const, "refuse" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("kill" as const),
      which: fc.nat(),
      element: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(300, 2000, 40_000) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A planner and the truth, with a feed between them that is read as late as the steps say. */
class World {
  /** How many times its capacity a host may be given ahead: its tasks wait there for their turn. */
  lead = 0;
  readonly store = new ModelStore();
  readonly queue = new Queue();
  readonly policy = policyWith(fifoRanking(), standardFilters, { maxPlacements: 5 });
  nowMs = 100_000;
  #read = 0;

  do(step: Step): void {
    const { store } = this;
    switch (step.kind) {
      case "submit": {
        const parent =
          step.on &&
          pick(
            [...store.tasks.keys()].filter((id) => !id.includes(".")),
            step.on.which,
          );
        store.submit({ ...step, dependencies: parent === undefined ? [] : [{ kind: step.on!.kind, taskId: parent }] });
        break;
      }
      case "array":
        store.submit({ ...step, priority: 0, dependencies: [] });
        break;
      case "host": {
        const id = `h${step.which}`;
        // A host never shrinks below what runs there: that is not the planner's doing.
        if (store.hosts.has(id) && store.hosts.get(id)!.capacity.cpuMilli > step.cpu) break;
        store.setHost({
          id,
          up: step.up,
          journalId: `j${step.journal}`,
          capacity: { cpuMilli: step.cpu, memoryBytes: 8 * GiB },
          unknownUse: { cpuMilli: 0, memoryBytes: 0 },
          features: [],
        });
        break;
      }
      case "report": {
        const task = pick(store.live(), step.which);
        if (!task) break;
        if (step.what === "start") store.start(task);
        else if (step.what === "refuse") {
          if (task.state === "placed") store.refuse(task);
        } else store.end(task, step.what);
        break;
      }
      case "kill": {
        const id = pick([...store.tasks.keys()], step.which);
        if (id !== undefined) store.kill(step.element === undefined || id.includes(".") ? id : `${id}.${step.element}`);
        break;
      }
      case "time":
        this.nowMs += step.ms;
        break;
      case "read":
        this.read(step.rows);
        break;
      case "cycle":
        this.cycle(step.readAhead);
        break;
    }
  }

  read(rows = Infinity): void {
    for (let n = 0; n < rows && this.#read < this.store.feed.length; n++)
      this.queue.apply(this.store.feed[this.#read++]!, this.nowMs);
  }

  /** With `readAhead` the feed tells of the commit before its answer comes. */
  cycle(readAhead: boolean): Plan {
    const { queue, store } = this;
    queue.tick(this.nowMs);
    queue.applyOutcomes(
      queue.takeUnknownParents(100).map((taskId) => ({
        taskId,
        live: store.tasks.get(taskId)!.state !== "over",
        outcome: store.tasks.get(taskId)!.outcome,
      })),
    );
    const plan = planCycle(queue, this.policy, this.nowMs, () => 0.5);
    const again = planCycle(queue, this.policy, this.nowMs, () => 0.5);
    expect(idsOf(again), "the same from the same").toEqual(idsOf(plan));
    this.#checkOrder(plan);
    queue.hold(plan);
    const answer = store.commit(plan);
    if (readAhead) this.read();
    queue.settle(plan, answer, this.nowMs);
    return plan;
  }

  /** First come, first served within a shape: nothing of it that could be placed is passed over. */
  #checkOrder(plan: Plan): void {
    const last = new Map<object, { number: number; index: number }>();
    for (const { record, index = record.index } of plan.placements) {
      const before = last.get(record.shape);
      if (before)
        expect(
          before.number < record.number || (before.number === record.number && before.index < index),
          "in order",
        ).toBe(true);
      last.set(record.shape, { number: record.number, index });
    }
  }

  check(): void {
    expect(brokenInvariant(this.queue)).toBeUndefined();
    const used = new Map<string, { cpuMilli: number; memoryBytes: number }>();
    for (const { hostId, needs: each } of this.store.live()) {
      const sum = used.get(hostId) ?? { cpuMilli: 0, memoryBytes: 0 };
      used.set(hostId, { cpuMilli: sum.cpuMilli + each.cpuMilli, memoryBytes: sum.memoryBytes + each.memoryBytes });
    }
    for (const [hostId, sum] of used) {
      const { capacity } = this.store.hosts.get(hostId)!;
      expect(
        sum.cpuMilli <= capacity.cpuMilli * (1 + this.lead) &&
          sum.memoryBytes <= capacity.memoryBytes * (1 + this.lead),
        `${hostId} is overcommitted`,
      ).toBe(true);
    }
    for (const { id, array } of this.store.tasks.values())
      if (array && array.maxLive > 0) expect(this.store.liveOf(id)).toBeLessThanOrEqual(array.maxLive);
    for (const record of this.queue.records()) {
      if (record.pending === 0) continue;
      const why = explain(this.queue, record.id, standardFilters);
      expect(why?.code, `${record.id} waits without a reason`).toMatch(/^[A-Z_]+$/);
      expect(why!.position).toBeGreaterThan(0);
      expect(why!.position).toBeLessThanOrEqual(Math.max(1, why!.pending));
    }
  }

  /** Everything that runs ends well, hosts are there, and time goes on, until nothing changes any more. */
  finish(): void {
    for (let n = 0; n < 4; n++)
      this.store.setHost({
        id: `h${n}`,
        up: true,
        journalId: "last",
        capacity: { cpuMilli: 8000, memoryBytes: 16 * GiB },
        unknownUse: { cpuMilli: 0, memoryBytes: 0 },
        features: [],
      });
    for (let quiet = 0; quiet < 3;) {
      const before = this.store.feed.length;
      this.read();
      this.cycle(false);
      for (const task of this.store.live()) this.store.end(task, "succeeded");
      this.nowMs += 40_000;
      quiet = this.store.feed.length === before ? quiet + 1 : 0;
    }
    this.read();
    this.check();
  }
}

const pick = <T>(from: readonly T[], n: number): T | undefined =>
  from.length === 0 ? undefined : from[n % from.length];
const idsOf = (plan: Plan) => plan.placements.map(({ taskId, attempt, host }) => `${taskId}#${attempt}@${host.id}`);

describe("the planner, against a model of storage", () => {
  it("gives a host at most its lead of short tasks ahead, and all else holds too", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 120 }), (steps) => {
        const world = new World();
        world.store.ranMs = 2;
        world.lead = 64;
        for (const each of steps) {
          world.do(each);
          world.check();
        }
      }),
      { numRuns: Number(process.env["BERTH_TEST_RUNS"] ?? 1000) },
    );
  });

  it("overcommits no host, starts nothing twice, keeps order and limits, and has a reason for all that waits", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 120 }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.do(each);
          world.check();
        }
      }),
      { numRuns: Number(process.env["BERTH_TEST_RUNS"] ?? 2000) },
    );
  });

  it("brings every task to an end once hosts are there and well", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
        const world = new World();
        for (const each of steps) world.do(each);
        world.finish();
        const waiting = [...world.store.tasks.values()].filter(({ state }) => state !== "over");
        expect(
          waiting.map(({ id, state }) => `${id} ${state} ${explain(world.queue, id, standardFilters)?.code}`),
        ).toEqual([]);
      }),
      { numRuns: Number(process.env["BERTH_TEST_RUNS"] ?? 1000) },
    );
  });

  it("is refused nothing by a storage whose feed it has read to the end", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.do(each.kind === "cycle" ? { ...each, readAhead: true } : each);
          world.read();
        }
        expect(Object.fromEntries(world.store.refusals)).toEqual({});
      }),
      { numRuns: Number(process.env["BERTH_TEST_RUNS"] ?? 1000) },
    );
  });
});
