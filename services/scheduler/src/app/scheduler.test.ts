import { AssignRequest } from "@berth/contracts/agent";
import { AppError } from "@berth/core";
import { fifoRanking } from "@berth/plugins";
import { aHostRow, aTaskRow } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { policyWith } from "../domain/cycle.ts";
import type { Plan } from "../domain/plan.ts";
import type { CommitAnswer, Lease, PlanStore, RowReader } from "../ports/plan-store.ts";
import { Scheduler } from "./scheduler.ts";

/** A storage whose every answer the test gives. */
function setUp() {
  const stop = new AbortController();
  const commits: {
    term: number;
    plan: Plan;
    answer: (answer?: Partial<CommitAnswer>) => void;
    fail: (error: Error) => void;
  }[] = [];
  const readers: RowReader[] = [];
  const sent: string[] = [];
  const sleeping: (() => void)[] = [];
  let lease: Lease = { held: true, term: 1, holder: "me" };
  let released = 0;
  let stale = 0;
  const aside: string[] = [];
  let planned: unknown;
  const store: PlanStore = {
    acquireLease: async () => lease,
    releaseLease: async () => void released++,
    follow: (reader, signal) => {
      readers.push(reader);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
    commit: (term, plan) =>
      new Promise((resolve, reject) =>
        commits.push({
          term,
          plan,
          answer: (answer) =>
            resolve({ placementRefusals: plan.placements.map(() => ""), endRefusals: [], assignments: [], ...answer }),
          fail: reject,
        }),
      ),
    outcomes: async (taskIds) => taskIds.map((taskId) => ({ taskId, live: false, outcome: "succeeded" as const })),
  };
  const scheduler = new Scheduler({
    store,
    dispatcher: {
      send: (assignments) => void sent.push(...assignments.map(({ hostId, message }) => `${hostId} ${message.term}`)),
    },
    policy: policyWith(fifoRanking()),
    requiredFeatures: [],
    instruments: { cycle: () => {}, refused: () => {}, staleTerm: () => void stale++ },
    logger: { info: () => {}, warn: () => {} },
    setAside: (id) => void aside.push(id),
    onPlanned: (error) => (planned = error),
    now: () => 100_000,
    monotonic: () => 5_000,
    random: () => 0.5,
    retry: (fn) => fn(),
    leaseTtlMs: 3000,
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        sleeping.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
  });
  const running = scheduler.run(stop.signal);
  return {
    scheduler,
    commits,
    readers,
    sent,
    aside,
    get planned() {
      return planned;
    },
    set lease(next: Lease) {
      lease = next;
    },
    get stale() {
      return stale;
    },
    /** All that was waiting for time to pass goes on. */
    wakeSleepers: () => sleeping.splice(0).forEach((wake) => wake()),
    async end() {
      stop.abort(new Error("the test ends"));
      await running;
      return released;
    },
  };
}

const turns = async (count = 5) => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};
const idsOf = ({ placements }: Plan) => placements.map(({ taskId }) => taskId);

describe("Scheduler", () => {
  it("plans when its view is whole, one plan at a time, many events in one", async () => {
    const world = setUp();
    await turns();
    const reader = world.readers[0]!;
    reader.onStart();
    reader.onRows([aHostRow("h1"), aTaskRow("1")]);
    await turns();
    expect(world.commits).toHaveLength(0);
    expect(() => world.scheduler.explain("1")).toThrow(expect.objectContaining({ reason: "NOT_READY" }));
    reader.onCaughtUp();
    await turns();
    expect(world.commits.map(({ plan }) => idsOf(plan))).toEqual([["1"]]);
    for (const id of ["2", "3"]) reader.onRows([aTaskRow(id)]);
    await turns();
    expect(world.commits).toHaveLength(1);
    world.commits[0]!.answer({ assignments: [{ hostId: "h1", message: AssignRequest.fromPartial({ term: 7 }) }] });
    await turns();
    expect(world.sent).toEqual(["h1 7"]);
    expect(world.commits.map(({ term, plan }) => [term, ...idsOf(plan)])).toEqual([
      [1, "1"],
      [1, "2", "3"],
    ]);
    expect(await world.end()).toBe(1);
  });

  it("leaves out a record that cannot be worked on, and plans all others; says whether plans fail", async () => {
    const world = setUp();
    await turns();
    const reader = world.readers[0]!;
    reader.onStart();
    const broken = aTaskRow("1", { dependencies: undefined as never });
    reader.onRows([aHostRow("h1"), broken, aTaskRow("2")]);
    reader.onCaughtUp();
    await turns();
    expect(world.aside).toEqual(["1"]);
    expect(world.commits.map(({ plan }) => idsOf(plan))).toEqual([["2"]]);
    world.commits[0]!.fail(AppError.received("internal", "BROKEN", "storage cannot store it"));
    await turns();
    expect(world.planned).toMatchObject({ reason: "BROKEN" });
    world.wakeSleepers();
    await turns();
    const next = world.readers[1]!;
    next.onStart();
    next.onRows([aHostRow("h1"), aTaskRow("2")]);
    next.onCaughtUp();
    await turns();
    world.commits[1]!.answer({});
    await turns();
    expect(world.planned).toBeUndefined();
    await world.end();
  });

  it("looks up parents that the feed does not tell of", async () => {
    const world = setUp();
    await turns();
    const reader = world.readers[0]!;
    reader.onStart();
    reader.onRows([aHostRow("h1"), aTaskRow("9", { dependencies: [{ kind: "afterok", taskId: "1" }] })]);
    reader.onCaughtUp();
    await turns();
    expect(world.commits.map(({ plan }) => idsOf(plan))).toEqual([["9"]]);
    await world.end();
  });

  it("stands by while another leads, and says so", async () => {
    const world = setUp();
    world.lease = { held: false, term: 4, holder: "other" };
    await turns();
    world.wakeSleepers();
    await turns();
    expect(() => world.scheduler.explain("1")).toThrow(expect.objectContaining({ reason: "NOT_LEADER" }));
    world.lease = { held: true, term: 5, holder: "me" };
    world.wakeSleepers();
    await turns();
    expect(world.scheduler.term).toBe(5);
    await world.end();
  });

  it("drops what it knew when another took the lease, and begins anew with a snapshot", async () => {
    const world = setUp();
    await turns();
    world.readers[0]!.onStart();
    world.readers[0]!.onRows([aTaskRow("1")]);
    world.readers[0]!.onCaughtUp();
    expect(world.scheduler.pending).toBe(1);
    world.lease = { held: false, term: 2, holder: "other" };
    world.wakeSleepers();
    await turns();
    expect(world.scheduler.term).toBe(0);
    expect(world.scheduler.pending).toBe(0);
    world.lease = { held: true, term: 3, holder: "me" };
    world.wakeSleepers();
    await turns();
    expect([world.scheduler.term, world.readers.length]).toEqual([3, 2]);
    await world.end();
  });

  it("steps down when storage says that its term is old", async () => {
    const world = setUp();
    await turns();
    world.readers[0]!.onStart();
    world.readers[0]!.onRows([aHostRow("h1"), aTaskRow("1")]);
    world.readers[0]!.onCaughtUp();
    await turns();
    world.commits[0]!.fail(new AppError("precondition", "STALE_TERM", "the term is 2"));
    await turns();
    expect([world.scheduler.term, world.stale]).toEqual([0, 1]);
    await world.end();
  });
});
