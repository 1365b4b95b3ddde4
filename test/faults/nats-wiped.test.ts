import { join } from "node:path";
import { coreUser, ledgerTask, mulberry32, Recorder, startCore, until } from "@berth/test-support";
import { describe, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const wipes = slow ? 15 : 3;
const tasksEach = 40;
const capacity = 8;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

describe("a bus that is killed and comes back empty", () => {
  it(`loses and doubles nothing, ${wipes} times (seed ${seed})`, async () => {
    const random = mulberry32(seed);
    await using core = await startCore({
      names: ["storage", "auth", "gateway", "scheduler", "watcher", "watcher2", "agent"],
      env: { BERTH_CAPACITY_CPU: String(capacity), BERTH_CAPACITY_MEMORY: "8G" },
    });
    const { berth } = await coreUser(core);
    const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
    await recorder.watch("w");
    const spec = ledgerTask("0.2");
    for (let wipe = 0; wipe < wipes; wipe++) {
      const tasks = Array.from({ length: tasksEach }, (_, n) => ({ requestId: `r${wipe}-${n}`, spec }));
      await recorder.submit(tasks);
      const before = recorder.endsOf("w");
      await until(() => recorder.endsOf("w") > before + random() * 10, "some to end");
      await core.killNats();
      await new Promise((resolve) => setTimeout(resolve, random() * 1_500));
      await core.startNats();
    }
    await expectNothingAmiss(recorder, wipes * tasksEach, { capacity });
    berth.close();
  });
});
