import { join } from "node:path";
import { coreUser, ledgerTask, mulberry32, Recorder, startCore, startOwnMongo, until } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

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
      await recorder.watch("w");
      const spec = ledgerTask("0.2");
      let next = 0;
      let ends = false;
      const submitting = Array.from({ length: 3 }, async () => {
        while (!ends) {
          const tasks = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({ requestId: `r${next++}`, spec }));
          expect(await recorder.submit(tasks), recorder.unanswered.at(-1)).toBe(true); // an outage makes it late, and no more
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
      await expectNothingAmiss(recorder, next, { capacity, mayHaveUntold: false });
      process.stderr.write(`${next} tasks on ${server.name}, killed ${kills} times\n`);
      berth.close();
    }
    await server.close();
  });
});
