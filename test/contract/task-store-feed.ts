import { RunPhase } from "@berth/contracts/agent";
import { Change } from "@berth/contracts/store";
import type { ChangesResponse } from "@berth/contracts/store";
import { Dependency_Kind, HostStatus, Outcome, TaskState } from "@berth/contracts/types";
import { aHost, aNewTask } from "@berth/test-support";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

export function feedTests(make: MakeDatabase): void {
  it("tells of each change once, in the order of revisions", async () => {
    await using h = await Harness.open(make);
    const token = await h.token();
    const id = await h.submit();
    await h.place(id);
    await h.report(id, 1, RunPhase.RUNNING);
    await h.ended(id);
    const { changes, tasks } = await h.changes(token);
    expect(tasks.map(({ state }) => state)).toEqual([
      TaskState.PENDING,
      TaskState.PLACED,
      TaskState.RUNNING,
      TaskState.OVER,
    ]);
    const revisions = changes.map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(new Set(revisions).size).toBe(revisions.length);
    expect((await h.get(id)).revision).toBe(revisions.at(-1));
  });

  it("goes on where a reader was, also after it was opened again", async () => {
    await using h = await Harness.open(make);
    const first = await h.submit();
    const { token } = await h.changes(await h.token());
    const [second, third] = [await h.submit(), await h.submit()];
    await h.reopen();
    const fourth = await h.submit();
    expect((await h.changes(token)).tasks.map(({ id }) => id)).toEqual([second, third, fourth]);
    expect(first).not.toBe(second);
  });

  it("misses nothing after it was opened again, though writes before had changed nothing", async () => {
    await using h = await Harness.open(make);
    const first = await h.submit();
    await h.place(first);
    for (let n = 0; n < 3; n++) await h.report(first, 2, RunPhase.RUNNING); // unknown: nothing is written
    const { token } = await h.changes(await h.token());
    await h.reopen();
    const second = await h.submit();
    expect((await h.changes(token)).tasks.map(({ id }) => id)).toEqual([second]);
  });

  it("gives a snapshot whose token misses nothing that happens while it is read", async () => {
    await using h = await Harness.open(make);
    await h.submitAll(Array.from({ length: 1_200 }, () => aNewTask()));
    const known = new Map<string, TaskState>();
    let token = "";
    let parts = 0;
    let late = "";
    for await (const part of h.store.snapshot(new AbortController().signal)) {
      if (part.token !== "") token = part.token;
      parts += 1;
      for (const bytes of part.changes) {
        const { row } = Change.decode(bytes);
        if (row?.$case === "task") known.set(row.value.id, row.value.state);
      }
      if (parts === 2) {
        late = await h.submit();
        await h.kill("1"); // was told of already
        await h.kill("1199"); // will be
      }
    }
    expect(parts).toBeGreaterThan(3); // in chunks
    for (const row of (await h.changes(token)).tasks) known.set(row.id, row.state);
    expect(known.size).toBe(1_201);
    expect([known.get("1"), known.get("1199"), known.get(late)]).toEqual([
      TaskState.OVER,
      TaskState.OVER,
      TaskState.PENDING,
    ]);
  });

  it("has in its snapshot what lives, the outcomes of parents, and hosts", async () => {
    await using h = await Harness.open(make);
    const [ended, live, forgotten] = [await h.submit(), await h.submit(), await h.submit()];
    const array = await h.submit({ array: { first: 1, last: 3, step: 1, maxLive: 0 } });
    const on = (taskId: string) => ({ kind: Dependency_Kind.AFTER_OK, taskId });
    const child = await h.submit({ dependencies: [on(ended), on(live), on(`${array}.2`), on(array)] });
    const sibling = await h.submit({ dependencies: [on(ended)] });
    await h.place(ended);
    await h.ended(ended, 1, { outcome: Outcome.FAILED, exitCode: 1 });
    await h.kill(forgotten);
    await h.kill(array);
    const { tasks, hosts } = await h.snapshot();
    expect(tasks.map(({ id, state }) => [id, state])).toEqual([
      [live, TaskState.PENDING],
      [ended, TaskState.OVER],
      [`${array}.2`, TaskState.OVER],
      [array, TaskState.OVER],
      [child, TaskState.PENDING],
      [sibling, TaskState.PENDING],
    ]);
    expect(tasks.find(({ id }) => id === ended)).toMatchObject({ outcome: Outcome.FAILED });
    expect(tasks.find(({ id }) => id === `${array}.2`)).toMatchObject({ outcome: Outcome.KILLED });
    expect(tasks.find(({ id }) => id === child)?.dependencies).toHaveLength(4);
    expect(hosts.map(({ id, journalId }) => [id, journalId])).toEqual([
      ["h1", "journal-h1"],
      ["h2", "journal-h2"],
    ]);
    await h.place(child);
    expect((await h.snapshot()).tasks.find(({ id }) => id === child)?.dependencies).toEqual([]);
  });

  it("can be read for one user, or for tasks only", async () => {
    await using h = await Harness.open(make);
    const token = await h.token();
    const mine = await h.submit();
    await h.submit({ user: "bob" });
    await h.seen("h3");
    const own = await h.changes(token, { user: "ada", tasksOnly: true });
    expect(own.tasks.map(({ id }) => id)).toEqual([mine]);
    expect(own.hosts).toEqual([]);
    expect((await h.changes(own.token, { user: "ada", tasksOnly: true })).tasks).toEqual([]); // went past the others' rows
    expect((await h.changes(token, { tasksOnly: true })).hosts).toEqual([]);
    expect((await h.changes(token)).hosts).toMatchObject([{ id: "h3" }]);
  });

  it("wakes a reader that waits, and ends when it is aborted", async () => {
    await using h = await Harness.open(make);
    const stop = new AbortController();
    const reader = h.store
      .changes({ token: await h.token(), user: "", tasksOnly: false }, stop.signal)
      [Symbol.asyncIterator]();
    expect((await reader.next()).value).toMatchObject({ changes: [], startAgain: false }); // nothing is left
    const next = reader.next();
    await h.submit();
    expect(((await next).value as ChangesResponse).changes).toHaveLength(1);
    const last = reader.next();
    stop.abort();
    expect(await last).toMatchObject({ done: true });
  });

  it("says start again for a token that it cannot serve", async () => {
    await using h = await Harness.open(make);
    const token = await h.token();
    const seq = Number(token.split(".")[1]);
    const { epoch } = h.store;
    for (const bad of [
      "",
      "nonsense",
      "1",
      `01890000-0000-7000-8000-000000000000.${seq}`,
      `${epoch}.${seq + 1_000}`,
      `${epoch}.-1`,
      `${epoch}.1e3`,
    ]) {
      expect(await h.changes(bad), bad).toMatchObject({ startAgain: true, changes: [] });
    }
    expect(await h.changes(token)).toMatchObject({ startAgain: false });
  });

  it("keeps rows for a time and up to a number, then says start again", async () => {
    await using h = await Harness.open(make, { feed: { keepMs: 60_000, keepRows: 50 } });
    const token = await h.token();
    await h.submitAll(Array.from({ length: 40 }, () => aNewTask()));
    await h.housekeeping();
    const { token: later, tasks } = await h.changes(token);
    expect(tasks).toHaveLength(40);
    await h.submitAll(Array.from({ length: 40 }, () => aNewTask()));
    await h.housekeeping();
    expect(await h.changes(token)).toMatchObject({ startAgain: true });
    expect((await h.changes(later)).tasks).toHaveLength(40);
    const { token: newest } = await h.changes(later);
    h.nowMs += 60_001;
    await h.housekeeping();
    expect(await h.changes(later)).toMatchObject({ startAgain: true });
    await h.reopen();
    expect(await h.changes(newest)).toMatchObject({ startAgain: false });
    const id = await h.submit();
    expect((await h.changes(newest)).tasks.map((row) => row.id)).toEqual([id]); // revisions went on from the last
    expect((await h.snapshot()).tasks).toHaveLength(81);
  });

  it("announces a host when something that matters changed, and never for being seen", async () => {
    await using h = await Harness.open(make);
    const token = await h.token();
    for (let i = 0; i < 5; i++) {
      h.nowMs += 10_000;
      await h.seen("h1");
    }
    expect((await h.changes(token)).hosts).toEqual([]);
    expect((await h.store.listHosts()).hosts[0]).toMatchObject({
      id: "h1",
      seenTime: new Date(h.nowMs),
      status: HostStatus.UP,
    });
    await h.seen("h1", { journalId: "journal-2" });
    await h.seen("h1", { journalId: "journal-2", cpuMilli: 1_000 });
    await h.seen("h1", { journalId: "journal-2", cpuMilli: 1_000, bootId: "boot-2" });
    await h.seen("h1", { journalId: "journal-2", cpuMilli: 1_000, bootId: "boot-2" });
    const unknownRuns = [{ epoch: "e", taskId: "7", attempt: 1 }];
    await h.seen("h1", {
      journalId: "journal-2",
      cpuMilli: 1_000,
      bootId: "boot-2",
      unknownRuns,
      used: { cpuMilli: 500, memoryBytes: 1 },
    });
    expect((await h.changes(token)).hosts).toMatchObject([
      { journalId: "journal-2", used: undefined },
      { capacity: { cpuMilli: 1_000 } },
      { bootId: "boot-2" },
      { unknownRuns, used: { cpuMilli: 500 } },
    ]);
  });

  it("calls a host silent only after nobody heard of it for so long, itself included", async () => {
    await using h = await Harness.open(make);
    const silent = (id: string) => h.store.syncHosts({ hosts: [], silentHostIds: [id], silentAfterMs: 30_000 });
    const token = await h.token();
    h.nowMs += 29_000;
    await silent("h1");
    expect((await h.changes(token)).hosts).toEqual([]);
    await h.seen("h2");
    h.nowMs += 1_001;
    await silent("h1");
    await silent("h1");
    await silent("h2");
    await silent("nowhere");
    expect((await h.changes(token)).hosts).toMatchObject([
      { id: "h1", status: HostStatus.SILENT, reason: { code: "HOST_SILENT" } },
    ]);
    await h.seen("h1");
    expect((await h.changes(token)).hosts.at(-1)).toMatchObject({ id: "h1", status: HostStatus.UP });
    h.nowMs += 60_000;
    await h.reopen(); // heard of nobody while it was down
    const { token: now } = await h.changes(token);
    await silent("h1");
    expect((await h.changes(now)).hosts).toEqual([]);
    h.nowMs += 30_000;
    await silent("h1");
    expect((await h.changes(now)).hosts).toMatchObject([{ id: "h1", status: HostStatus.SILENT }]);
  });

  it("tells a watcher the epoch and the leader's term", async () => {
    await using h = await Harness.open(make);
    expect(await h.store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 })).toEqual({
      epoch: h.store.epoch,
      term: h.term,
      refused: [],
    });
  });
}
