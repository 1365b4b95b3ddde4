import { connectMongo, mongoTaskStore } from "@berth/storage";
import { aNewTask } from "@berth/test-support";

/** A store that never comes to the end of its transaction; for a test to kill. */
const { calls } = await connectMongo(process.argv[2]!, () => {});
const hanging = {
  ...calls,
  commit(): Promise<void> {
    process.stdout.write("hanging\n");
    return new Promise(() => {});
  },
};
const store = await mongoTaskStore(hanging);
await store.submit([{ task: aNewTask({ name: "lost" }), number: 0 }]);
