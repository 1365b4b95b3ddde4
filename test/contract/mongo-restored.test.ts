import { Outcome, TaskState } from "@berth/contracts/types";
import type { TaskStore } from "@berth/storage";
import { connectMongo, mongoTaskStore } from "@berth/storage";
import { aHost, aNewTask } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { mongoDatabase } from "./mongo-database.ts";

/** A store on which a task is placed, one waits, and one is over. */
async function used(store: TaskStore): Promise<{ placed: string; waiting: string; over: string }> {
  await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
  const { term } = await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
  const results = await store.submit([1, 2, 3].map(() => ({ task: aNewTask(), number: 0 })));
  const [placed, waiting, over] = results.map(({ taskId }) => taskId) as [string, string, string];
  const placement = { taskId: placed, attempt: 1, hostId: "h1", journalId: "journal-h1" };
  const end = { taskId: over, outcome: Outcome.REJECTED, reason: { code: "NO", message: "no" } };
  await store.commitPlan({ term, placements: [placement], ends: [end] });
  return { placed, waiting, over };
}

describe("a MongoDB that was restored", () => {
  it("begins a new epoch at an operator's word, once a word, and gives up what ran", async () => {
    await using database = await mongoDatabase();
    const { store: before } = await database.open({ newEpoch: "made" }); // new: there is nothing to renew
    const { placed, waiting, over } = await used(before);
    const renewals: unknown[] = [];
    const options = { newEpoch: "monday", onRenewed: (renewed: unknown) => renewals.push(renewed) };
    const { store } = await database.open(options);
    expect(renewals).toEqual([{ epoch: store.epoch, before: before.epoch, lost: 1 }]);
    const get = (taskId: string) => store.get({ taskId, user: "" });
    expect(await get(placed)).toMatchObject({
      state: TaskState.OVER,
      outcome: Outcome.LOST,
      reason: { code: "DATABASE_RESTORED" },
    });
    expect(await get(waiting)).toMatchObject({ state: TaskState.PENDING });
    expect(await get(over)).toMatchObject({ outcome: Outcome.REJECTED });
    expect((await store.listHosts()).hosts[0]).toMatchObject({ liveTasks: 0 });
    const [next] = await store.submit([{ task: aNewTask(), number: 0 }]);
    expect(Number(next!.taskId)).toBeGreaterThan(100_000); // nobody knows which numbers were given out since

    const { store: again } = await database.open(options);
    expect(again.epoch).toBe(store.epoch);
    const copies = await Promise.all([1, 2, 3].map(() => database.open({ ...options, newEpoch: "tuesday" })));
    expect(new Set(copies.map((copy) => copy.store.epoch)).size).toBe(1);
    expect(copies[0]!.store.epoch).not.toBe(store.epoch);
    expect(renewals).toHaveLength(2);
  });

  it("goes on giving up where a store that did so was killed", async () => {
    await using database = await mongoDatabase();
    const { store: before } = await database.open();
    const { placed } = await used(before);
    const { calls } = await connectMongo(database.url, () => {});
    const broken = { ...calls, commit: () => Promise.reject(new TypeError("killed")) };
    await expect(mongoTaskStore(broken, { newEpoch: "monday", patienceMs: 0 })).rejects.toThrow();
    await calls.close();
    const { store } = await database.open({ newEpoch: "monday" });
    expect(await store.get({ taskId: placed, user: "" })).toMatchObject({ outcome: Outcome.LOST });
  });
});

describe("a server that cannot be used", () => {
  it("is refused where it is no replica set, and where a newer version was there", async () => {
    await using database = await mongoDatabase();
    await database.open();
    const { calls } = await connectMongo(database.url, () => {});
    const alone = { ...calls, admin: async () => ({ localTime: new Date() }) };
    await expect(mongoTaskStore(alone)).rejects.toMatchObject({ code: "precondition", reason: "NO_TRANSACTIONS" });
    await calls.bulkWrite("meta", [{ updateOne: { filter: {}, update: { $set: { form: 99 } } } }]);
    await expect(mongoTaskStore(calls)).rejects.toMatchObject({ code: "precondition", reason: "DATABASE_FORM" });
    await calls.close();
  });

  it("is unavailable where nobody answers", async () => {
    const nobody = connectMongo("mongodb://127.0.0.1:9/berth?serverSelectionTimeoutMS=200", () => {});
    await expect(nobody).rejects.toMatchObject({ code: "unavailable", reason: "DATABASE_UNAVAILABLE" });
  }, 10_000);
});
