import { randomBytes } from "node:crypto";
import { splitTaskId } from "@berth/core";
import { connectMongo, mongoTaskStore } from "@berth/storage";
import { sharedMongo } from "@berth/test-support";
import type { MakeDatabase } from "./task-store-harness.ts";
import { describeTaskStore } from "./task-store-suite.ts";

const make: MakeDatabase = async () => {
  const server = await sharedMongo();
  const url = server.urlOf(`berth_test_${randomBytes(6).toString("hex")}`);
  return {
    async open(options) {
      const { calls } = await connectMongo(url, () => {});
      const store = await mongoTaskStore(calls, options);
      return {
        store,
        async housekeeping() {
          while (await store.housekeeping()) continue;
        },
        close: () => store.close(),
      };
    },
    async damage(record, id, column, value) {
      const { calls } = await connectMongo(url, () => {});
      const number = record === "host" ? 0 : splitTaskId(id).number;
      const [collection, filter, path] = {
        task: ["tasks", { _id: String(number).padStart(16, "0") }, column],
        array: ["tasks", { _id: String(number).padStart(16, "0") }, `array.${column}`],
        spec: ["specs", { _id: number }, column],
        folded: ["folded", { _id: { $gt: `${String(number).padStart(16, "0")}` } }, column],
        host: ["hosts", { _id: id }, column],
      }[record] as ["tasks" | "specs" | "folded" | "hosts", object, string];
      const stored = typeof value === "bigint" ? value : Buffer.from(value);
      await calls.bulkWrite(collection, [{ updateOne: { filter, update: { $set: { [path]: stored } } } }]);
      await calls.close();
    },
    remove: () => server.drop(url),
  };
};

describeTaskStore("MongoDB", make, process.env["BERTH_TEST_SIZE"] === "slow" ? 300 : 40);
