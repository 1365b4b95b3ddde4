import { Change } from "@berth/contracts/store";
import { HostStatus } from "@berth/contracts/types";
import type { MongoTaskStore } from "@berth/storage";
import { aHost, aNewTask } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { lostCommit, lostTransaction, networkError, serverError, writeConflict } from "./faulty-calls.ts";
import type { Fault } from "./faulty-calls.ts";
import { mongoDatabase } from "./mongo-database.ts";

const at = (call: Fault["call"], moment: Fault["moment"], error: () => Error, when?: Fault["when"]): Fault => ({
  call,
  moment,
  error,
  ...(when ? { when } : {}),
});
const of = (collection: string) => (args: readonly unknown[]) => args[0] === collection;

const submit = (store: MongoTaskStore, name: string) => store.submit([{ task: aNewTask({ name }), number: 0 }]);

/** Names of all tasks, and how often the feed told of a new one. */
async function stored(store: MongoTaskStore) {
  const names: string[] = [];
  for await (const part of store.snapshot(new AbortController().signal)) {
    for (const bytes of part.changes) {
      const { row } = Change.decode(bytes);
      if (row?.$case === "task") names.push(row.value.name);
    }
  }
  const stop = new AbortController();
  const told: string[] = [];
  for await (const part of store.changes({ token: `${store.epoch}.0`, user: "", tasksOnly: true }, stop.signal)) {
    for (const bytes of part.changes) {
      const { row } = Change.decode(bytes);
      if (row?.$case === "task") told.push(row.value.name);
    }
    if (part.changes.length === 0) break;
  }
  stop.abort();
  const { byState } = await store.countTasks({ user: "" });
  return { names, told, counted: byState["pending"] ?? 0 };
}

async function once(store: MongoTaskStore, names: readonly string[]): Promise<void> {
  const found = await stored(store);
  expect(found.names.toSorted()).toEqual(names.toSorted());
  expect(found.told.toSorted()).toEqual(names.toSorted());
  expect(found.counted).toBe(names.length);
}

describe("faults between the adapter and MongoDB", () => {
  it("finds its commit again whose answer was lost, and does nothing twice", async () => {
    await using database = await mongoDatabase();
    const retries: string[] = [];
    const { store, faults } = await database.open({ onRetry: (why) => retries.push(why) });
    faults.plan.push(at("commit", "after", lostCommit));
    expect(await submit(store, "a")).toMatchObject([{ taskId: "1", existing: false }]);
    expect(retries).toEqual(["unknown"]);
    await once(store, ["a"]);
  });

  it("finds it also where a server that was started again knows of no such transaction", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    const [task] = await submit(store, "a");
    await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
    faults.plan.push(at("commit", "after", () => serverError(251, "TransientTransactionError")));
    const placement = { taskId: task!.taskId, attempt: 1, hostId: "h1", journalId: "journal-h1" };
    const plan = await store.commitPlan({ term, placements: [placement], ends: [] });
    expect(plan.placementRefusals).toEqual([""]);
    expect(plan.assignments).toHaveLength(1);
  });

  it("does again what was lost with its commit, once", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    faults.plan.push(at("commit", "before", lostCommit));
    // The transaction is still open at the server, and nobody will commit it: what comes next waits until it is ended there.
    expect(await submit(store, "a")).toMatchObject([{ existing: false }]);
    await once(store, ["a"]);
  });

  it.each([
    ["with its commit", [at("commit", "before", lostCommit)]],
    ["while it wrote", [at("bulkWrite", "after", lostTransaction, of("tasks")), at("abort", "before", networkError)]],
  ])("ends a transaction of its own that a broken connection left open %s", async (_, broken) => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open({ patienceMs: 3_000 });
    // The driver's own end of a session would abort it, if there were a connection.
    faults.plan.push(...broken, at("end", "before", networkError));
    expect(await submit(store, "a")).toMatchObject([{ existing: false }]);
    expect(faults.happened).toBe(broken.length + 1);
    await once(store, ["a"]);
  });

  it("finds it also when the database was away for a while after, and others wrote meanwhile", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    const { store: other } = await database.open();
    const down = () => at("findOneAndUpdate", "before", networkError);
    faults.plan.push(at("commit", "after", lostCommit), down(), down(), down());
    const [result] = await Promise.all([submit(store, "a"), submit(other, "b"), submit(other, "c")]);
    expect(result).toMatchObject([{ existing: false }]);
    expect(faults.happened).toBe(4);
    await once(other, ["a", "b", "c"]);
  });

  it("loses the answer to reading it back, too, and is still sure in the end", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    faults.plan.push(
      at("commit", "after", lostCommit),
      at("commit", "after", lostCommit),
      at("commit", "before", lostCommit),
    );
    expect(await submit(store, "a")).toMatchObject([{ existing: false }]);
    await once(store, ["a"]);
  });

  it.each([
    ["at its first write", at("findOneAndUpdate", "after", lostTransaction)],
    ["while it reads", at("find", "before", lostTransaction, of("client_keys"))],
    ["while it writes tasks", at("bulkWrite", "after", lostTransaction, of("tasks"))],
    ["while it writes the feed", at("bulkWrite", "after", lostTransaction, of("changes"))],
    ["at its last write", at("bulkWrite", "after", lostTransaction, of("meta"))],
    ["with a duplicate key of an upsert", at("bulkWrite", "before", () => serverError(11_000), of("sums"))],
    [
      "with a server that steps down",
      at("bulkWrite", "before", () => serverError(10_107, "TransientTransactionError"), of("tasks")),
    ],
    ["with a server that is shutting down", at("find", "before", () => serverError(91), of("client_keys"))],
  ])("begins a transaction again that broke %s", async (_, fault) => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    faults.plan.push(fault, { ...fault }, { ...fault });
    const results = await Promise.all(
      ["a", "b", "c"].map((name) => store.submit([{ task: aNewTask({ name, clientKey: name }), number: 0 }])),
    );
    expect(results.flat().map(({ existing }) => existing)).toEqual([false, false, false]);
    expect(faults.happened).toBe(3);
    await once(store, ["a", "b", "c"]);
  });

  it("gets through a storm of write conflicts", async () => {
    await using database = await mongoDatabase();
    const retries: string[] = [];
    const { store, faults } = await database.open({ onRetry: (why) => retries.push(why) });
    faults.plan.push(...Array.from({ length: 30 }, () => at("findOneAndUpdate", "before", writeConflict)));
    await submit(store, "a");
    expect(retries).toEqual(Array.from({ length: 30 }, () => "conflict"));
    await once(store, ["a"]);
  });

  it("fails what cannot be stored, and not what came with it", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    const poisoned = (args: readonly unknown[]) =>
      args[0] === "specs" && JSON.stringify(args[1]).includes('"name":"poison"');
    const tooLarge = () => at("bulkWrite", "before", () => serverError(10_334), poisoned);
    faults.plan.push(tooLarge(), tooLarge());
    const results = await Promise.allSettled(["a", "poison", "b"].map((name) => submit(store, name)));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await once(store, ["a", "b"]);
  });

  it("says that it does not know, where nobody answers any more; the same key finds out", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open({ patienceMs: 200 });
    const task = { task: aNewTask({ name: "a", clientKey: "k" }), number: 0 };
    faults.plan.push(at("commit", "after", lostCommit));
    faults.plan.push(...Array.from({ length: 100 }, () => at("findOneAndUpdate", "before", networkError)));
    await expect(store.submit([task])).rejects.toMatchObject({ code: "unavailable", reason: "COMMIT_UNKNOWN" });
    faults.plan.length = 0;
    expect(await store.submit([task])).toMatchObject([{ taskId: "1", existing: true }]);
    await once(store, ["a"]);
  });

  it("says that nothing is stored, where the database was away all the time", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open({ patienceMs: 200 });
    faults.plan.push(...Array.from({ length: 100 }, () => at("findOneAndUpdate", "before", networkError)));
    await expect(submit(store, "a")).rejects.toMatchObject({ code: "unavailable", reason: "COMMIT_FAILED" });
    faults.plan.length = 0;
    await submit(store, "b");
    await once(store, ["b"]);
  });

  it("tells a reader of a lost connection as unavailable, and of a fault of its own as that", async () => {
    await using database = await mongoDatabase();
    const { store, faults } = await database.open();
    await submit(store, "a");
    faults.plan.push(at("find", "before", networkError, of("tasks")));
    await expect(store.get({ taskId: "1", user: "" })).rejects.toMatchObject({ code: "unavailable" });
    faults.plan.push(at("find", "before", () => serverError(2), of("tasks")));
    await expect(store.get({ taskId: "1", user: "" })).rejects.toMatchObject({ code: 2 });
    expect(await store.get({ taskId: "1", user: "" })).toMatchObject({ id: "1" });
  });

  it("hears nobody while the database is away: no host is silent because of that", async () => {
    const clock = { nowMs: Date.UTC(2026, 10, 24) };
    await using database = await mongoDatabase();
    const { store, faults } = await database.open({ now: () => clock.nowMs, patienceMs: 50 });
    const sync = (silent: readonly string[], seen: readonly string[] = []) =>
      store.syncHosts({ hosts: seen.map((id) => aHost(id)), silentHostIds: [...silent], silentAfterMs: 30_000 });
    await sync([], ["h1"]);
    clock.nowMs += 31_000;
    faults.plan.push(...Array.from({ length: 50 }, () => at("findOneAndUpdate", "before", networkError)));
    await expect(submit(store, "a")).rejects.toMatchObject({ code: "unavailable" });
    faults.plan.length = 0;
    const statusOf = async () => (await store.listHosts()).hosts[0]!.status;
    const up = await statusOf();
    await sync(["h1"]);
    expect(await statusOf()).toBe(up);
    clock.nowMs += 30_000;
    await sync(["h1"]);
    expect(await statusOf()).not.toBe(up);
  });

  it("calls a host silent also where a call fails by its own fault meanwhile", async () => {
    const clock = { nowMs: Date.UTC(2026, 10, 24) };
    await using database = await mongoDatabase();
    const { store, faults } = await database.open({ now: () => clock.nowMs });
    const sync = (silent: readonly string[], seen: readonly string[] = []) =>
      store.syncHosts({ hosts: seen.map((id) => aHost(id)), silentHostIds: [...silent], silentAfterMs: 30_000 });
    await sync([], ["h1"]);
    clock.nowMs += 31_000;
    faults.plan.push(at("bulkWrite", "before", () => serverError(10_334), of("specs")));
    await expect(submit(store, "a")).rejects.toThrow();
    await sync(["h1"]);
    expect((await store.listHosts()).hosts).toMatchObject([{ id: "h1", status: HostStatus.SILENT }]);
  });

  it("goes on telling of changes when the history of the change stream is lost", async () => {
    await using database = await mongoDatabase();
    const streams: boolean[] = [];
    const { store } = await database.open({ onStream: (isThere) => streams.push(isThere) }, (faulty) => {
      const { watch } = faulty.calls;
      let opened = 0;
      Object.assign(faulty.calls, {
        watch: (...args: Parameters<typeof watch>) => {
          const real = watch(...args);
          opened += 1;
          if (opened > 1) throw serverError(40_573);
          return {
            ...real,
            next: () => real.next().then(() => Promise.reject(serverError(286, "NonResumableChangeStreamError"))),
          };
        },
      });
    });
    const { store: other } = await database.open();
    const stop = new AbortController();
    const names: string[] = [];
    const following = (async () => {
      for await (const part of store.changes({ token: `${store.epoch}.0`, user: "", tasksOnly: true }, stop.signal)) {
        for (const bytes of part.changes) {
          const { row } = Change.decode(bytes);
          if (row?.$case === "task") names.push(row.value.name);
        }
        if (names.length === 3) break;
      }
    })();
    for (const name of ["a", "b", "c"]) await submit(other, name);
    await following;
    stop.abort();
    expect(names).toEqual(["a", "b", "c"]);
    expect(streams).toEqual([true, false]);
  });

  it("stops where the database became another one under it", async () => {
    await using database = await mongoDatabase();
    const { store } = await database.open();
    await submit(store, "a");
    const { store: renewed } = await database.open({ newEpoch: "restored on Monday" });
    expect(renewed.epoch).not.toBe(store.epoch);
    await expect(submit(store, "b")).rejects.toMatchObject({ code: "precondition", reason: "EPOCH_CHANGED" });
    await expect(store.housekeeping()).rejects.toMatchObject({ reason: "EPOCH_CHANGED" });
    await once(renewed, ["a"]);
  });
});
