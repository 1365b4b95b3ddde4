import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostStatus, OnHostLost, Outcome, TaskState } from "@berth/contracts/types";
import { aHost, aNewTask } from "@berth/test-support";
import type { TaskWishes } from "@berth/test-support";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteStore } from "./open-store.ts";
import type { SqliteTaskStore } from "./open-store.ts";

let dir: string;
let store: SqliteTaskStore;
const warnings: string[] = [];

const open = (at = dir, newEpoch = ""): SqliteTaskStore =>
  (store = openSqliteStore(at, {
    now: Date.now,
    newEpoch,
    logger: { info() {}, warn: (_, fields) => warnings.push(String(fields["why"])) },
  }));
const reopen = (at = dir, newEpoch = ""): SqliteTaskStore => {
  store.close();
  return open(at, newEpoch);
};
const submit = async (wishes: TaskWishes = {}): Promise<string> =>
  (await store.submit([{ task: aNewTask(wishes), number: 0 }]))[0]!.taskId;
const get = (taskId: string) => store.get({ taskId, user: "" });

async function running(wishes: TaskWishes = {}): Promise<string> {
  const taskId = await submit(wishes);
  const { term } = await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
  await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
  const placements = [{ taskId, attempt: 1, hostId: "h1", journalId: "journal-h1" }];
  expect((await store.commitPlan({ term, placements, ends: [] })).placementRefusals).toEqual([""]);
  return taskId;
}

/** As an operator does with a stopped cluster. */
const copy = (from: string, to: string): void => copyFileSync(join(dir, from), join(dir, to));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-epoch-"));
  open();
});
afterEach(() => {
  store.close();
  warnings.length = 0;
  rmSync(dir, { recursive: true, force: true });
});

describe("the epoch of a database", () => {
  it("accepts the first agent of each host in a new epoch, and shows no host as up before it was heard", async () => {
    const hosts = [{ ...aHost("h1"), agentId: "before" }];
    await store.syncHosts({ hosts, silentHostIds: [], silentAfterMs: 0 });
    const other = { hosts: [{ ...aHost("h1"), agentId: "now" }], silentHostIds: [], silentAfterMs: 0 };
    reopen();
    expect((await store.syncHosts(other)).refused).toHaveLength(1);
    reopen(dir, "restored");
    expect((await store.listHosts()).hosts[0]).toMatchObject({ id: "h1", status: HostStatus.SILENT });
    expect((await store.syncHosts(other)).refused).toEqual([]);
    expect((await store.listHosts()).hosts[0]).toMatchObject({ id: "h1", status: HostStatus.UP });
  });

  it("lives on over clean stops and over a loss of the mark", async () => {
    const { epoch } = store;
    const id = await running();
    expect(reopen().epoch).toBe(epoch);
    await submit();
    store.close();
    rmSync(join(dir, "storage.mark"));
    expect(open().epoch).toBe(epoch);
    expect(reopen().epoch).toBe(epoch);
    expect(await get(id)).toMatchObject({ state: TaskState.PLACED });
    expect(warnings).toEqual([]);
  });

  it("ends when an older copy replaces the database: its runs end as lost, waiting tasks wait, no number is reused", async () => {
    const { epoch } = store;
    const [wait, retry] = [await running(), await running({ onHostLost: OnHostLost.RETRY })];
    const pending = await submit();
    store.close();
    copy("storage.db", "copy.db");
    open();
    expect(store.epoch).toBe(epoch);
    const since = await submit();
    const token = (await store.list({ ...everything, user: "" })).watchToken;
    store.close();
    copy("copy.db", "storage.db");
    const renewed = open();
    expect(renewed.epoch).not.toBe(epoch);
    expect(renewed.epoch > epoch).toBe(true);
    const reason = { code: "DATABASE_RESTORED" };
    for (const id of [wait, retry])
      expect(await get(id)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.LOST, reason });
    expect(await get(pending)).toMatchObject({ state: TaskState.PENDING });
    await expect(get(since)).rejects.toMatchObject({ reason: "TASK_NOT_FOUND" });
    expect(Number(await submit())).toBeGreaterThan(Number(since));
    const parts = store.changes({ token, user: "", tasksOnly: false }, new AbortController().signal);
    for await (const part of parts) expect(part.startAgain).toBe(true);
    const runs = [wait, "999"].map((taskId) => ({ epoch, taskId, attempt: 1 }));
    expect((await store.lookUpRuns({ hostId: "h1", runs, assign: [], specsOf: [] })).runs).toEqual([
      "RUN_KNOWLEDGE_UNKNOWN",
      "RUN_KNOWLEDGE_UNKNOWN",
    ]);
    expect((await store.listHosts()).hosts).toMatchObject([{ id: "h1", liveTasks: 0, used: { cpuMilli: 0 } }]);
    const { epoch: second } = store;
    expect(reopen().epoch).toBe(second);
    expect(warnings).toHaveLength(1);
  });

  it("ends in a copy of its directory, and goes on in the original", async () => {
    const { epoch } = store;
    const id = await running();
    store.close();
    const other = mkdtempSync(join(tmpdir(), "berth-epoch-"));
    for (const name of ["storage.db", "storage.mark"]) copyFileSync(join(dir, name), join(other, name));
    expect(open(other).epoch).not.toBe(epoch);
    expect(await get(id)).toMatchObject({ outcome: Outcome.LOST });
    expect(reopen().epoch).toBe(epoch);
    expect(await get(id)).toMatchObject({ state: TaskState.PLACED });
    rmSync(other, { recursive: true });
  });

  it("ends by an operator's word, once a word", async () => {
    const { epoch } = store;
    const second = reopen(dir, "restored on Monday").epoch;
    expect(second).not.toBe(epoch);
    expect(reopen(dir, "restored on Monday").epoch).toBe(second);
    expect(reopen().epoch).toBe(second);
    expect(reopen(dir, "2").epoch).not.toBe(second);
  });

  it("counts elements of arrays that ran as ended, and lets the rest of the array go on", async () => {
    const id = await submit({ array: { first: 1, last: 3, step: 1, maxLive: 0 } });
    const { term } = await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
    await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
    const placements = [{ taskId: `${id}.1`, attempt: 1, hostId: "h1", journalId: "journal-h1" }];
    await store.commitPlan({ term, placements, ends: [] });
    reopen(dir, "1");
    expect(await get(`${id}.1`)).toMatchObject({ outcome: Outcome.LOST, reason: { code: "DATABASE_RESTORED" } });
    expect((await get(id)).progress).toMatchObject({ live: 0, unclaimed: 2, ended: { lost: 1 } });
  });
});

const everything = {
  states: [],
  outcomes: [],
  name: "",
  arrayId: "",
  pageSize: 10,
  pageToken: "",
  taskIds: [],
};
