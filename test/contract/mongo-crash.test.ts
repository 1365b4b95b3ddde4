import { ListTasksRequest } from "@berth/contracts/store";
import { connectMongo, mongoTaskStore } from "@berth/storage";
import type { MongoTaskStore } from "@berth/storage";
import { aNewTask, startOwnMongo } from "@berth/test-support";
import { expect, it } from "vitest";

const rounds = process.env["BERTH_TEST_SIZE"] === "slow" ? 15 : 4;

/** Kill -9 of the server under submits through two stores: what was acknowledged is there, once, and keys find it. */
it(`MongoDB's server killed ${rounds} times under two stores loses and doubles nothing`, async () => {
  const server = await startOwnMongo();
  const stores: MongoTaskStore[] = [];
  const acknowledged = new Map<string, string>();
  const tried = new Set<string>();
  try {
    for (let n = 0; n < 2; n++) {
      const { calls } = await connectMongo(server.urlOf("crash"), () => {});
      stores.push(await mongoTaskStore(calls));
    }
    const stop = new AbortController();
    const submit = async (store: MongoTaskStore, key: string): Promise<void> => {
      tried.add(key);
      try {
        const [result] = await store.submit([{ task: aNewTask({ name: key, clientKey: key }), number: 0 }]);
        acknowledged.set(key, result!.taskId);
      } catch (error) {
        expect(error).toMatchObject({ code: "unavailable" });
      }
    };
    const load = stores.map(async (store, n) => {
      for (let i = 0; !stop.signal.aborted; i++)
        await Promise.all(Array.from({ length: 8 }, (_, m) => submit(store, `${n}-${i}-${m}`)));
    });
    for (let round = 0; round < rounds; round++) {
      const enough = acknowledged.size + 40;
      await expect.poll(() => acknowledged.size, { timeout: 30_000 }).toBeGreaterThanOrEqual(enough);
      await server.kill();
      await server.start();
    }
    stop.abort();
    await Promise.all(load);

    const names = new Map<string, string>();
    let pageToken = "";
    do {
      const page = await stores[0]!.list(ListTasksRequest.fromPartial({ pageSize: 1_000, pageToken }));
      for (const { id, spec } of page.tasks) {
        expect(names.has(spec!.name), `${spec!.name} is there twice`).toBe(false);
        names.set(spec!.name, id);
      }
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== "");
    for (const [key, id] of acknowledged) expect(names.get(key), key).toBe(id);
    for (const key of [...tried].filter((each) => !acknowledged.has(each))) {
      const [result] = await stores[1]!.submit([{ task: aNewTask({ name: key, clientKey: key }), number: 0 }]);
      if (names.has(key)) expect(result).toMatchObject({ taskId: names.get(key), existing: true });
    }
    expect((await stores[1]!.countTasks({ user: "" })).byState["pending"]).toBe(tried.size);
  } finally {
    for (const store of stores) await store.close();
    await server.close();
  }
}, 120_000);
