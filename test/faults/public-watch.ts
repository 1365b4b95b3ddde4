import { join } from "node:path";
import { MiB } from "@berth/core";
import { coreUser, faultsOf, ledgerScript, mulberry32, Recorder, startCore, until } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import { describe, expect, it } from "vitest";

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
        const stop = new AbortController();
        const others = [again(), again()];
        const watches = await Promise.all(
          [berth, ...others].map((from, n) => recorder.watch(`w${n}`, stop.signal, from)),
        );
        const spec = {
          script: ledgerScript("ledger", "0.05"),
          resources: { cpuMilli: 1_000, memoryBytes: 16 * MiB },
          volumes: [{ name: "scratch" }],
        };
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
        await recorder.untilOver();
        await until(() => [0, 1, 2].every((n) => recorder.endsOf(`w${n}`) >= tasks), "all ends to be told");
        stop.abort();
        await Promise.all(watches.map(({ ended }) => ended));
        expect(recorder.taskIds).toHaveLength(tasks);
        expect(faultsOf(await recorder.history({ wholeWatches: ["w0", "w1", "w2"], capacity: 8 }))).toEqual([]);
        for (const each of [berth, ...others]) each.close();
      }
      await prepared.close();
    });
  });
}
