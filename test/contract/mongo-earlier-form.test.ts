import { OnHostLost, Outcome, TaskState } from "@berth/contracts/types";
import { connectMongo } from "@berth/storage";
import { aHost, aNewTask } from "@berth/test-support";
import { expect, it } from "vitest";
import { mongoDatabase } from "./mongo-database.ts";

it("reads the sign of a lease in documents of the first form, and makes that form unreadable for earlier versions", async () => {
  await using database = await mongoDatabase();
  const { store: before } = await database.open();
  await before.syncHosts({ hosts: [aHost("h1")], silentHostIds: [], silentAfterMs: 0 });
  const { term } = await before.acquireLease({ name: "scheduler", holder: "tests", ttlMs: 60_000 });
  const wishes = [OnHostLost.RETRY, OnHostLost.FAIL, OnHostLost.WAIT];
  const results = await before.submit(
    wishes.map((onHostLost) => ({ task: aNewTask({ onHostLost, hostLeaseMs: 20_000 }), number: 0 })),
  );
  const ids = results.map(({ taskId }) => taskId);
  const [retried, failed] = ids as [string, string];
  const placements = ids.map((taskId) => ({ taskId, attempt: 1, hostId: "h1", journalId: "journal-h1" }));
  await before.commitPlan({ term, placements, ends: [] });

  const { calls } = await connectMongo(database.url, () => {});
  const failing = { retry_on: "", lease_ms: { $gt: 0 } };
  await calls.bulkWrite("tasks", [
    { updateMany: { filter: failing, update: { $mul: { lease_ms: -1 } } } },
    { updateMany: { filter: {}, update: { $unset: { retry_on: "" } } } },
  ]);
  await calls.bulkWrite("meta", [{ updateOne: { filter: {}, update: { $set: { form: 1 } } } }]);

  const { store } = await database.open();
  expect(await calls.find("meta", { _id: "writer" })).toMatchObject([{ form: 2 }]);
  const run = (taskId: string) => ({ epoch: store.epoch, taskId, attempt: 1 });
  const request = { hostId: "h1", by: "root", listenedMs: 0, marginMs: 0 };
  expect(await store.loseRuns(request)).toEqual({ retried: [run(retried)], lost: [run(failed), run(ids[2]!)] });
  expect(await store.get({ taskId: retried, user: "" })).toMatchObject({ state: TaskState.PENDING });
  expect(await store.get({ taskId: failed, user: "" })).toMatchObject({ outcome: Outcome.LOST });
  const [doc] = await calls.find("tasks", { number: Number(retried) });
  expect(doc).toMatchObject({ lease_ms: 20_000, retry_on: "lost" });
  await calls.close();
});
