import { RunPhase } from "@berth/contracts/agent";
import type { RunStatus } from "@berth/contracts/agent";
import { Dependency_Kind, OnHostLost, Outcome } from "@berth/contracts/types";
import { aHost, aNewTask, aStatus } from "@berth/test-support";
import { expect, it } from "vitest";
import { mongoDatabase } from "./mongo-database.ts";

const many = 100;
/** Questions of one call, however many tasks it is about: each lack that shows up one by one would be a question, and a new beginning. */
const atMost = 15;

/** A store with tasks that run on h1 and are retried where that is lost; `questions` counts what a call reads. */
async function running() {
  const database = await mongoDatabase();
  const { store, faults } = await database.open();
  let asked = 0;
  const { find } = faults.calls;
  Object.assign(faults.calls, {
    find: (...args: Parameters<typeof find>) => {
      asked += 1;
      return find(...args);
    },
  });
  const { term } = await store.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
  await store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
  const submit = async (wishes: Parameters<typeof aNewTask>[0], n = many) =>
    (await store.submit(Array.from({ length: n }, () => ({ task: aNewTask(wishes), number: 0 })))).map(
      ({ taskId }) => taskId,
    );
  const place = (ids: readonly string[], attempt: number) =>
    store.commitPlan({
      term,
      placements: ids.map((taskId) => ({ taskId, attempt, hostId: "h1", journalId: "journal-h1" })),
      ends: [],
    });
  const ids = await submit({ onHostLost: OnHostLost.RETRY });
  await place(ids, 1);
  return {
    store,
    ids,
    submit,
    place,
    async questions(call: () => Promise<unknown>): Promise<number> {
      const before = asked;
      await call();
      return asked - before;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

it("a host's loss is written with a few questions, however many ran there, and however often before", async () => {
  await using here = await running();
  for (const attempt of [1, 2]) {
    if (attempt > 1) await here.place(here.ids, attempt);
    const lost = () => here.store.loseRuns({ hostId: "h1", by: "ada", listenedMs: 0, marginMs: 0 });
    expect(await here.questions(async () => expect((await lost()).retried).toHaveLength(many))).toBeLessThan(atMost);
    await here.store.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
  }
});

it("so are reports of runs that their host lost or cannot start, and of runs that had been given up", async () => {
  await using here = await running();
  const report = (attempt: number, phase: RunPhase, more: Partial<RunStatus>) => () =>
    here.store.applyReports({
      reports: [
        {
          hostId: "h1",
          journalId: "journal-h1",
          statuses: here.ids.map((id) => aStatus(here.store.epoch, id, attempt, phase, more)),
        },
      ],
    });
  const lost = report(1, RunPhase.ENDED, { outcome: Outcome.LOST });
  expect(await here.questions(lost)).toBeLessThan(atMost);
  expect(await here.store.countTasks({ user: "" })).toMatchObject({ byState: { pending: many } });
  await here.place(here.ids, 2);
  expect(await here.questions(lost)).toBeLessThan(atMost); // late
  const unable = report(2, RunPhase.REFUSED, { reason: { code: "DRIVER_DOWN", message: "not here" } });
  expect(await here.questions(unable)).toBeLessThan(atMost);
  expect(await here.store.countTasks({ user: "" })).toMatchObject({ byState: { pending: many } });
});

it("so is a snapshot of tasks that each wait for another element", async () => {
  await using here = await running();
  const [array] = await here.submit({ array: { first: 1, last: many, step: 1, maxLive: 0 } }, 1);
  const elements = Array.from({ length: many }, (_, n) => `${array}.${n + 1}`);
  await here.place(elements, 1);
  await here.store.submit(
    elements.map((taskId) => ({
      task: aNewTask({ dependencies: [{ kind: Dependency_Kind.AFTER_OK, taskId }] }),
      number: 0,
    })),
  );
  expect(
    await here.questions(async () => {
      for await (const _ of here.store.snapshot(new AbortController().signal));
    }),
  ).toBeLessThan(atMost);
});
