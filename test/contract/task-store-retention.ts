import { ReportAnswer, RunPhase } from "@berth/contracts/agent";
import { ListTasksRequest } from "@berth/contracts/store";
import { Dependency_Kind, Outcome, TaskRequest, TaskState } from "@berth/contracts/types";
import { expect, it } from "vitest";
import { Harness } from "./task-store-harness.ts";
import type { MakeDatabase } from "./task-store-harness.ts";

const hour = 3_600_000;
const day = 24 * hour;

export function retentionTests(make: MakeDatabase): void {
  const open = () => Harness.open(make, { foldAfterMs: 0 });

  async function ended(h: Harness, wishes: Parameters<Harness["submit"]>[0] = {}): Promise<string> {
    const id = await h.submit(wishes);
    await h.place(id);
    await h.ended(id);
    return id;
  }

  async function endedArray(h: Harness, last: number): Promise<string> {
    const id = await h.submit({ array: { first: 1, last, step: 1, maxLive: 0 } });
    for (let index = 1; index <= last; index++) {
      await h.place(`${id}.${index}`);
      await h.ended(`${id}.${index}`);
    }
    return id;
  }

  async function foldAll(h: Harness): Promise<void> {
    while ((await h.store.fold(1_000)).more) continue;
  }

  /** Time passes as it does: somebody looks now and then. */
  async function pass(h: Harness, ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= day) {
      h.nowMs += Math.min(day, left);
      await h.store.expired(1e12, 1);
    }
  }

  async function archiveAll(h: Harness): Promise<string[]> {
    await foldAll(h);
    const ids = await h.store.expired(0, 1_000);
    await h.store.archive(ids);
    return ids;
  }

  async function deleteAll(h: Harness, afterMs = 0, limit = 100): Promise<number> {
    let deleted = 0;
    for (let more = true; more;) {
      const step = await h.store.deleteRecords(afterMs, limit);
      deleted += step.done;
      more = step.more;
    }
    return deleted;
  }

  it("knows what ended long enough ago, by its own clock, oldest first", async () => {
    await using h = await open();
    await pass(h, day);
    const first = await ended(h);
    await pass(h, day);
    const second = await ended(h); // its host says that it ended years ago
    const killed = await h.submit();
    await h.kill(killed);
    const running = await h.submit();
    await h.place(running);
    await h.submit();
    expect(await h.store.expired(day, 10)).toEqual([first]);
    expect(await h.store.expired(2 * day, 10)).toEqual([]);
    await pass(h, day);
    expect(await h.store.expired(day, 10)).toEqual([first, second, killed]);
    expect(await h.store.expired(day, 2)).toEqual([first, second]);
    await h.reopen();
    expect(await h.store.expired(day, 10)).toEqual([first, second, killed]);
  });

  it("takes an array as one, once all of it is folded", async () => {
    await using h = await open();
    const id = await endedArray(h, 3);
    const live = await h.submit({ array: { first: 1, last: 3, step: 1, maxLive: 0 } });
    await h.place(`${live}.1`);
    await h.ended(`${live}.1`);
    expect(await h.store.expired(0, 10)).toEqual([]);
    expect(await h.store.archive([id])).toBe(0);
    await foldAll(h);
    expect(await h.store.expired(0, 10)).toEqual([id]);
  });

  it("archives once: seen by who follows the feed, and in counts", async () => {
    await using h = await open();
    const id = await ended(h);
    const array = await endedArray(h, 4);
    const live = await h.submit();
    await foldAll(h);
    const token = await h.token();
    const before = await h.get(id);
    const element = await h.get(`${array}.2`);
    expect(await h.store.archive([id, array, live, "999", `${array}.1`])).toBe(2);
    expect(await h.store.archive([id, array])).toBe(0);
    expect(await h.store.expired(0, 10)).toEqual([]);

    const { tasks, changes } = await h.changes(token);
    expect(tasks).toMatchObject([
      { id, state: TaskState.ARCHIVED, outcome: Outcome.SUCCEEDED, attempt: 1 },
      { id: array, state: TaskState.ARCHIVED, outcome: Outcome.SUCCEEDED, progress: { ended: { succeeded: 4 } } },
    ]);
    const legacy = { primary: "archived", secondary: "" };
    expect(await h.committed(id)).toEqual({
      ...before,
      state: TaskState.ARCHIVED,
      revision: changes[0]!.revision,
      legacy,
    });
    expect(await h.committed(`${array}.2`)).toEqual({ ...element, state: TaskState.ARCHIVED, legacy });
    expect(await h.store.countTasks({ user: "ada" })).toMatchObject({ byState: { over: 0, archived: 5, pending: 1 } });
    const list = (request: Partial<ListTasksRequest>) => h.store.list(ListTasksRequest.fromPartial(request));
    expect((await list({ states: [TaskState.ARCHIVED] })).tasks.map((task) => task.id)).toEqual([array, id]);
    expect((await list({ states: [TaskState.ARCHIVED], arrayId: array })).tasks.length).toBe(4);
    expect((await list({ states: [TaskState.OVER], arrayId: array })).tasks).toEqual([]);
    expect((await h.snapshot()).tasks.map((row) => row.id)).toEqual([live]);
  });

  it("answers as before for what is archived", async () => {
    await using h = await open();
    const id = await ended(h, { clientKey: "k" });
    const array = await endedArray(h, 2);
    await archiveAll(h);
    expect(await h.store.logState(id)).toMatchObject({ over: true, archived: true });
    expect(await h.store.logState(`${array}.2`)).toMatchObject({ over: true, archived: true });
    for (const each of [id, array, `${array}.1`]) {
      expect(await h.kill(each)).toEqual({ state: TaskState.ARCHIVED, outcome: Outcome.SUCCEEDED });
      expect(await h.ask(each, TaskRequest.SUSPEND)).toMatchObject({ state: TaskState.ARCHIVED });
    }
    expect(await h.ended(id)).toBe(ReportAnswer.COMMITTED);
    expect(await h.ended(`${array}.1`)).toBe(ReportAnswer.COMMITTED);
    expect(await h.report(id, 1, RunPhase.RUNNING)).toBe(ReportAnswer.COMMITTED);
    expect(await h.place(id, 2)).toBe("NOT_PENDING");
    expect(await h.submit({ clientKey: "k" })).toBe(id);
    const child = await h.submit({ dependencies: [{ kind: Dependency_Kind.AFTER_OK, taskId: id }] });
    expect((await h.snapshot()).tasks).toMatchObject([
      { id, state: TaskState.ARCHIVED, outcome: Outcome.SUCCEEDED },
      { id: child, state: TaskState.PENDING },
    ]);
  });

  it("deletes what is archived and old enough, with its key and all its elements", async () => {
    await using h = await open();
    const id = await ended(h, { clientKey: "k" });
    const array = await endedArray(h, 3);
    await pass(h, day);
    const later = await ended(h);
    const over = await ended(h);
    await foldAll(h);
    await h.store.archive([id, array, later]);
    expect(await deleteAll(h, 2 * day)).toBe(0);
    expect(await deleteAll(h, day, 1)).toBe(2);
    for (const gone of [id, array, `${array}.1`, `${array}.3`]) {
      await expect(h.get(gone)).rejects.toMatchObject({ code: "not-found" });
      expect(await h.ended(gone)).toBe(ReportAnswer.UNKNOWN);
      expect(await h.kill(gone)).toMatchObject({ failure: { reason: "TASK_NOT_FOUND" } });
    }
    expect((await h.store.list(ListTasksRequest.fromPartial({}))).tasks.map((task) => task.id)).toEqual([over, later]);
    expect((await h.store.list(ListTasksRequest.fromPartial({ arrayId: array }))).tasks).toEqual([]);
    expect(await h.store.countTasks({ user: "ada" })).toMatchObject({ byState: { over: 1, archived: 1 } });
    const again = await h.submit({ clientKey: "k" });
    expect(Number(again)).toBeGreaterThan(Number(over));
    expect(await deleteAll(h, 0)).toBe(1);
  });

  it("never gives a number twice, even when the newest record goes", async () => {
    await using h = await open();
    await ended(h);
    const last = await ended(h);
    await archiveAll(h);
    await deleteAll(h);
    await h.reopen();
    expect(Number(await h.submit())).toBeGreaterThan(Number(last));
  });

  it("keeps a record whose outcome a pending task waits for", async () => {
    await using h = await open();
    const first = await ended(h);
    const second = await ended(h);
    await archiveAll(h);
    await h.submit({ dependencies: [{ kind: Dependency_Kind.AFTER, taskId: first }] });
    expect(await deleteAll(h)).toBe(1);
    expect(await h.get(first)).toMatchObject({ state: TaskState.ARCHIVED });
    await expect(h.get(second)).rejects.toMatchObject({ code: "not-found" });
  });

  it("deletes what is behind records that are waited for, however many they are", async () => {
    await using h = await open();
    const kept = [];
    for (let n = 0; n < 3; n++) kept.push(await ended(h));
    const behind = await ended(h);
    await ended(h);
    await archiveAll(h);
    await h.submit({ dependencies: kept.map((taskId) => ({ kind: Dependency_Kind.AFTER, taskId })) });
    expect(await deleteAll(h, 0, 2)).toBe(2);
    await expect(h.get(behind)).rejects.toMatchObject({ code: "not-found" });
  });

  it("does not believe a clock that jumps until it went on for an hour", async () => {
    await using h = await open();
    await pass(h, day);
    const id = await ended(h);
    await ended(h);
    expect(await h.store.expired(30 * day, 10)).toEqual([]);
    h.nowMs += 400 * day;
    expect(await h.store.expired(30 * day, 10)).toEqual([]);
    h.nowMs += hour / 2;
    await h.reopen(); // a new process doubts from its own beginning
    expect(await h.store.expired(30 * day, 10)).toEqual([]);
    h.nowMs += hour - 1;
    expect(await h.store.expired(30 * day, 10)).toEqual([]);
    await h.store.archive([id]);
    expect(await h.store.deleteRecords(365 * day, 10)).toEqual({ done: 0, more: false });
    h.nowMs += 1;
    expect((await h.store.expired(30 * day, 10)).length).toBe(1);
    expect(await h.store.deleteRecords(365 * day, 10)).toMatchObject({ done: 1 });
  });

  it("is not impressed by a clock that is set back", async () => {
    await using h = await open();
    await pass(h, 3 * day);
    const id = await ended(h);
    h.nowMs -= 2 * day;
    expect(await h.store.expired(day, 10)).toEqual([]);
    await pass(h, 3 * day);
    expect(await h.store.expired(day, 10)).toEqual([id]);
  });
}
