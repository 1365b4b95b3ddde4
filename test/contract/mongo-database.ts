import { randomBytes } from "node:crypto";
import { connectMongo, mongoTaskStore } from "@berth/storage";
import type { MongoTaskStore, MongoOptions } from "@berth/storage";
import { sharedMongo } from "@berth/test-support";
import { FaultyCalls } from "./faulty-calls.ts";

export interface OpenedCopy {
  readonly store: MongoTaskStore;
  readonly faults: FaultyCalls;
}

/** A database of a test's own, on which any number of stores run side by side; disposing closes them and removes it. */
export async function mongoDatabase() {
  const server = await sharedMongo();
  const url = server.urlOf(`berth_test_${randomBytes(6).toString("hex")}`);
  const opened: MongoTaskStore[] = [];
  return {
    url,
    async open(options: MongoOptions = {}, before: (faults: FaultyCalls) => void = () => {}): Promise<OpenedCopy> {
      const { calls } = await connectMongo(url, () => {});
      const faults = new FaultyCalls(calls);
      before(faults);
      const store = await mongoTaskStore(faults.calls, options);
      opened.push(store);
      return { store, faults };
    },
    async [Symbol.asyncDispose]() {
      for (const store of opened) await store.close();
      await server.drop(url);
    },
  };
}
