import { join } from "node:path";
import { MiB } from "@berth/core";
import {
  coreUser,
  faultsOf,
  ledgerScript,
  mulberry32,
  Recorder,
  startCore,
  startOwnMongo,
  until,
} from "@berth/test-support";
import { describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const kills = slow ? 15 : 3;
const capacity = 8;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

describe("MongoDB's server, killed and started again under load", () => {
  it(`loses and doubles nothing, ${kills} times (seed ${seed})`, async () => {
    const random = mulberry32(seed);
    const server = await startOwnMongo();
    {
      await using core = await startCore({
        names: ["storage", "storage2", "auth", "gateway", "gateway2", "scheduler", "watcher", "agent"],
        env: {
          BERTH_CAPACITY_CPU: String(capacity),
          BERTH_CAPACITY_MEMORY: "8G",
          BERTH_DATABASE: server.urlOf("killed"),
        },
      });
      const { berth } = await coreUser(core);
      const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
      const stop = new AbortController();
      const watch = await recorder.watch("w", stop.signal);
      const spec = {
        script: ledgerScript("ledger", "0.2"),
        resources: { cpuMilli: 1_000, memoryBytes: 16 * MiB },
        volumes: [{ name: "scratch" }],
      };
      let next = 0;
      let ends = false;
      const submitting = Array.from({ length: 3 }, async () => {
        while (!ends) {
          const tasks = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({ requestId: `r${next++}`, spec }));
          expect(await recorder.submit(tasks), recorder.unanswered.at(-1)).toBe(true); // patiently: an outage makes it late, and no more
          await new Promise((resolve) => setTimeout(resolve, 100 + random() * 200));
        }
      });
      for (let round = 0; round < kills; round++) {
        const before = recorder.endsOf("w");
        await until(() => recorder.endsOf("w") > before + 3 + random() * 10, "some to end", 60_000);
        await server.kill();
        await new Promise((resolve) => setTimeout(resolve, random() * 2_000));
        await server.start();
      }
      ends = true;
      await Promise.all(submitting);
      await recorder.untilOver();
      await until(() => recorder.endsOf("w") >= next, "all ends to be told");
      stop.abort();
      await watch.ended;
      const history = await recorder.history({ wholeWatches: ["w"], capacity, mayHaveUntold: false });
      process.stderr.write(`${next} tasks on ${server.name}, killed ${kills} times\n`);
      expect(history.stored).toHaveLength(next);
      expect(faultsOf(history)).toEqual([]);
      expect(history.stored.filter(({ outcome }) => outcome !== "succeeded")).toEqual([]);
      berth.close();
    }
    await server.close();
  });
});
