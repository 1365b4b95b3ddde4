import { join } from "node:path";
import { coreUser, ledgerTask, mulberry32, Recorder, startCore, until } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const tasks = slow ? 400 : 80;
const kills = slow ? 20 : 4;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Copies that watches go through are killed in turn, in the middle of them. */
export function describePublicWatch(
  database: string,
  { storages, victims }: { readonly storages: readonly CoreName[]; readonly victims: readonly CoreName[] },
  prepare: () => Promise<{
    readonly env: Readonly<Record<string, string>>;
    close(): Promise<void>;
  }>,
): void {
  describe(`the public watch on ${database}`, () => {
    it(`tells one end of each task, whichever of ${victims.join(", ")} is killed in the middle of it (seed ${seed})`, async () => {
      const random = mulberry32(seed);
      const prepared = await prepare();
      {
        await using core = await startCore({
          names: [...storages, "auth", "gateway", "gateway2", "scheduler", "watcher", "agent"],
          env: { BERTH_CAPACITY_CPU: "8", BERTH_CAPACITY_MEMORY: "8G", ...prepared.env },
        });
        const { berth, again } = await coreUser(core);
        const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
        const others = [again(), again()];
        for (const [n, from] of [berth, ...others].entries()) await recorder.watch(`w${n}`, from);
        const spec = ledgerTask("0.05");
        for (let kill = 0; kill < kills; kill++) {
          const from = kill * (tasks / kills);
          const before = recorder.endsOf("w0");
          await recorder.submit(Array.from({ length: tasks / kills }, (_, n) => ({ requestId: `r${from + n}`, spec })));
          // In the middle: some of these have ended and some have not.
          await until(() => recorder.endsOf("w0") > before + random() * (tasks / kills / 2), "some ends to be told");
          const victim = victims[kill % victims.length]!;
          await core.kill(victim);
          await core.start(victim);
        }
        await expectNothingAmiss(recorder, tasks, { capacity: 8 });
        expect(recorder.taskIds).toHaveLength(tasks);
        for (const each of [berth, ...others]) each.close();
      }
      await prepared.close();
    });
  });
}
