import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { Change } from "@berth/contracts/store";
import type { ChangesResponse, CommitPlanResponse, TaskRow } from "@berth/contracts/store";
import { HostStatus } from "@berth/contracts/types";
import type { TaskStore } from "@berth/storage";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { serverError } from "./faulty-calls.ts";
import { mongoDatabase } from "./mongo-database.ts";

async function twoCopies() {
  const database = await mongoDatabase();
  const [{ store: a }, { store: b }] = [await database.open(), await database.open()];
  const { term } = await a.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
  await a.syncHosts({ hosts: [aHost("h1"), aHost("h2")], silentHostIds: [], silentAfterMs: 0 });
  return { a, b, both: [a, b] as const, term, database };
}

const submit = async (store: TaskStore, n: number, wishes: Parameters<typeof aNewTask>[0] = {}): Promise<string[]> =>
  (await store.submit(Array.from({ length: n }, () => ({ task: aNewTask(wishes), number: 0 })))).map(
    ({ taskId }) => taskId,
  );

const place = (store: TaskStore, term: number, ids: readonly string[], hostId: string): Promise<CommitPlanResponse> =>
  store.commitPlan({
    term,
    placements: ids.map((taskId) => ({ taskId, attempt: 1, hostId, journalId: `journal-${hostId}` })),
    ends: [],
  });

/** Follows the feed until a row satisfies; answers all that came before and it. */
async function follow(store: TaskStore, token: string, until: (rows: readonly TaskRow[]) => boolean) {
  const stop = new AbortController();
  const changes: Change[] = [];
  const rows: TaskRow[] = [];
  for await (const part of store.changes({ token, user: "", tasksOnly: true }, stop.signal)) {
    expect(part.startAgain).toBe(false);
    for (const bytes of part.changes) {
      const change = Change.decode(bytes);
      changes.push(change);
      if (change.row?.$case === "task") rows.push(change.row.value);
    }
    if (until(rows)) break;
  }
  stop.abort();
  return { rows, revisions: changes.map(({ revision }) => revision) };
}

const tokenOf = async (store: TaskStore): Promise<string> =>
  (
    await store.list({
      user: "",
      states: [],
      outcomes: [],
      name: "",
      arrayId: "",
      pageSize: 1,
      pageToken: "",
      taskIds: [],
    })
  ).watchToken;

describe("two stores on one MongoDB", () => {
  it("have one epoch, and give out each id once", async () => {
    await using copies = await twoCopies().then(asDisposable);
    expect(copies.b.epoch).toBe(copies.a.epoch);
    const ids = await Promise.all(
      Array.from({ length: 60 }, (_, n) => (n % 3 === 0 ? copies.both[n % 2]!.reserveId() : undefined)).map(
        async (reserved, n) => (await reserved) ?? Number((await submit(copies.both[n % 2]!, 1))[0]),
      ),
    );
    expect(new Set(ids).size).toBe(60);
  });

  it("tell of all changes of both in one order, the same to each reader", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const token = await tokenOf(copies.a);
    const each = 40;
    const known = (rows: readonly TaskRow[]) => new Set(rows.map(({ id }) => id)).size === 2 * each;
    const readers = copies.both.map((store) => follow(store, token, known));
    const writers = copies.both.map(async (store) => {
      for (let n = 0; n < each; n++) await submit(store, 1);
    });
    await Promise.all(writers);
    const [one, two] = await Promise.all(readers);
    expect(one!.revisions).toEqual(one!.revisions.toSorted((x, y) => x - y));
    expect(new Set(one!.revisions).size).toBe(one!.revisions.length);
    expect(two!.revisions).toEqual(one!.revisions);
    expect(await copies.b.countTasks({ user: "" })).toEqual({ byState: { pending: 2 * each } });
  });

  it("place no task and claim no element twice", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const { a, b, term } = copies;
    const ids = await submit(a, 60);
    const [array] = await submit(b, 1, { array: { first: 1, last: 40, step: 1, maxLive: 0 } });
    const elements = Array.from({ length: 40 }, (_, n) => `${array}.${n + 1}`);
    const chunks = Array.from({ length: 10 }, (_, n) => [
      ...ids.slice(n * 6, n * 6 + 6),
      ...elements.slice(n * 4, n * 4 + 4),
    ]);
    const plans = await Promise.all(
      chunks.map(async (chunk) => {
        const [one, two] = await Promise.all([place(a, term, chunk, "h1"), place(b, term, chunk, "h2")]);
        return chunk.map((_, at) => [one, two].filter((plan) => plan.placementRefusals[at] === "").length);
      }),
    );
    const placed = plans.flat();
    expect(Math.max(...placed)).toBe(1);
    expect(placed.filter((n, at) => at % 10 < 6 && n !== 1)).toEqual([]); // each single task, once
    const { hosts } = await b.listHosts();
    expect(hosts.reduce((sum, { liveTasks }) => sum + liveTasks, 0)).toBe(placed.filter((n) => n === 1).length);
  });

  it("take the reports of a host whichever is asked, once", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const { a, b, term } = copies;
    const ids = await submit(a, 20);
    await place(b, term, ids, "h1");
    const report = (store: TaskStore, phase: RunPhase) =>
      store.applyReports({
        reports: [{ hostId: "h1", journalId: "journal-h1", statuses: ids.map((id) => aStatus(a.epoch, id, 1, phase)) }],
      });
    const replies = await Promise.all([
      report(a, RunPhase.ENDED),
      report(b, RunPhase.ENDED),
      report(b, RunPhase.RUNNING),
    ]);
    for (const {
      replies: [reply],
    } of replies)
      expect(new Set(reply!.answers)).toEqual(new Set([ReportAnswer.COMMITTED]));
    expect(await a.countTasks({ user: "ada" })).toMatchObject({ byState: { over: 20, placed: 0 } });
  });

  it("keep one task under a key that both are given", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, n) => submit(copies.both[n % 2]!, 1, { clientKey: "race" })),
    );
    expect(new Set(ids.flat()).size).toBe(1);
  });

  it("hold leases by the database's clock, and refuse a plan of an older term at either", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const { a, b } = copies;
    const acquire = (store: TaskStore, holder: string, ttlMs: number) =>
      store.acquireLease({ name: "timers", holder, ttlMs });
    expect(await acquire(a, "one", 300)).toEqual({ held: true, term: 1, holder: "one" });
    expect(await acquire(b, "two", 300)).toEqual({ held: false, term: 1, holder: "one" });
    const from = performance.now();
    let taken = await acquire(b, "two", 300);
    while (!taken.held) taken = await acquire(b, "two", 300);
    expect(taken).toEqual({ held: true, term: 2, holder: "two" });
    expect(performance.now() - from).toBeLessThan(2_000);
    const [id] = await submit(a, 1);
    await a.releaseLease({ name: "scheduler", holder: "tests" });
    await b.acquireLease({ name: "scheduler", holder: "another", ttlMs: 60_000 });
    await expect(place(a, copies.term, [id!], "h1")).rejects.toMatchObject({ reason: "STALE_TERM" });
    expect((await place(a, copies.term + 1, [id!], "h1")).placementRefusals).toEqual([""]);
  });

  it("call no host silent that the other one hears", async () => {
    const clock = { nowMs: Date.UTC(2026, 10, 24) };
    await using database = await mongoDatabase();
    const options = { now: () => clock.nowMs };
    const [{ store: a }, { store: b }] = [await database.open(options), await database.open(options)];
    const sync = (store: TaskStore, seen: readonly string[], silent: readonly string[] = []) =>
      store.syncHosts({ hosts: seen.map((id) => aHost(id)), silentHostIds: [...silent], silentAfterMs: 30_000 });
    await sync(a, ["h1", "h2"]);
    clock.nowMs += 29_000;
    await sync(a, ["h1"]);
    await a.close(); // tells what it heard
    clock.nowMs += 2_000;
    await sync(b, [], ["h1", "h2"]);
    const { hosts } = await b.listHosts();
    expect(hosts.map(({ id, status }) => [id, status])).toEqual([
      ["h1", HostStatus.UP],
      ["h2", HostStatus.SILENT],
    ]);
  });

  it("see a change of hosts that the other one wrote, before they place anything there", async () => {
    await using copies = await twoCopies().then(asDisposable);
    const { a, b, term } = copies;
    const ids = await submit(a, 2);
    expect((await place(b, term, [ids[0]!], "h1")).placementRefusals).toEqual([""]);
    await a.syncHosts({ hosts: [aHost("h1", { journalId: "journal-2" })], silentHostIds: [], silentAfterMs: 0 });
    expect((await place(b, term, [ids[1]!], "h1")).placementRefusals).toEqual(["HOST_CHANGED"]);
  });

  it("give a host name to one of two agents that ask them at the same moment", async () => {
    await using database = await mongoDatabase();
    const [{ store: a }, { store: b }] = [await database.open(), await database.open()];
    const ask = async (store: TaskStore, id: string, agentId: string) =>
      (await store.syncHosts({ hosts: [{ ...aHost(id), agentId }], silentHostIds: [], silentAfterMs: 0 })).refused;
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all([ask(a, `twin-${round}`, "first"), ask(b, `twin-${round}`, "second")]);
      expect(answers.flat()).toEqual([0]);
      const { hosts } = await a.listHosts();
      const holder = answers[0].length === 0 ? "first" : "second";
      expect(hosts.find(({ id }) => id === `twin-${round}`)).toMatchObject({ agentId: holder });
    }
  });

  it("do not wait for one that was killed within a transaction", async () => {
    await using database = await mongoDatabase();
    const { store } = await database.open();
    const script = fileURLToPath(new URL("./hang-in-transaction.ts", import.meta.url));
    const hanging = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, database.url], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(hanging.stdout, "data");
    hanging.kill("SIGKILL");
    await once(hanging, "exit");
    const from = performance.now();
    const [id] = await submit(store, 1, { name: "next" });
    expect(performance.now() - from).toBeLessThan(4_000);
    expect(await store.get({ taskId: id!, user: "" })).toMatchObject({ spec: { name: "next" } });
    expect(await store.countTasks({ user: "" })).toEqual({ byState: { pending: 1 } });
  });

  it("wake each other's readers; without a change stream by looking", async () => {
    await using database = await mongoDatabase();
    const streams: boolean[] = [];
    const noStream = { call: "watch", moment: "before", error: () => serverError(40_573) } as const;
    const { store: a } = await database.open();
    const { store: b } = await database.open();
    const { store: blind } = await database.open({ onStream: (isThere) => streams.push(isThere) }, ({ plan }) =>
      plan.push(noStream, noStream, noStream, noStream),
    );
    const token = await tokenOf(a);
    for (const store of [b, blind]) {
      const stop = new AbortController();
      const reader = store.changes({ token, user: "", tasksOnly: true }, stop.signal)[Symbol.asyncIterator]();
      let part = (await reader.next()).value as ChangesResponse;
      while (part.changes.length > 0) part = (await reader.next()).value as ChangesResponse; // until it has everything
      const next = reader.next();
      const from = performance.now();
      await submit(a, 1);
      expect(((await next).value as ChangesResponse).changes).toHaveLength(1);
      expect(performance.now() - from).toBeLessThan(900);
      stop.abort();
    }
    expect(streams).toEqual([]); // there never was one
  });
});

type Copies = Awaited<ReturnType<typeof twoCopies>>;
const asDisposable = (copies: Copies) => ({
  ...copies,
  [Symbol.asyncDispose]: () => copies.database[Symbol.asyncDispose](),
});
