import { join } from "node:path";
import { coreUser, ledgerTask, mulberry32, Recorder, startCore, until } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const kills = slow ? 80 : 10;
const capacity = 8;
/** More at the same time would be an outage, which other tests cover. */
const mostAway = 2;
const seed = Number(process.env["BERTH_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Kill -9 of any process at any time, several down at once, under submits, watches and reads. */
export function describeAnyCopy(
  database: string,
  storages: readonly CoreName[],
  prepare: () => Promise<{ readonly env: Readonly<Record<string, string>>; close(): Promise<void> }>,
): void {
  describe(`two of everything on ${database}`, () => {
    it(`loses and doubles nothing by ${kills} kills of any of them (seed ${seed})`, { timeout: 600_000 }, async () => {
      const random = mulberry32(seed);
      const prepared = await prepare();
      const pairs = (["auth", "gateway", "scheduler", "watcher"] as const).flatMap(
        (name) => [name, `${name}2`] as const,
      );
      const victims: CoreName[] = [...storages, ...pairs, "agent"];
      {
        await using core = await startCore({
          names: [...storages, ...pairs, "agent"],
          env: { BERTH_CAPACITY_CPU: String(capacity), BERTH_CAPACITY_MEMORY: "8G", ...prepared.env },
        });
        const { berth } = await coreUser(core);
        const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
        for (const name of ["w0", "w1"]) await recorder.watch(name);
        const spec = ledgerTask("0.2");
        let next = 0;
        let ends = false;
        const submitting = Array.from({ length: 2 }, async () => {
          while (!ends) {
            const tasks = Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
              requestId: `r${next++}`,
              spec,
            }));
            expect(await recorder.submit(tasks), recorder.unanswered.at(-1)).toBe(true);
            await recorder.read(recorder.taskIds[Math.floor(random() * recorder.taskIds.length)]!);
            await new Promise((resolve) => setTimeout(resolve, random() * 300));
          }
        });
        const away = new Map<CoreName, Promise<void>>();
        for (let kill = 0; kill < kills; kill++) {
          await until(() => away.size <= mostAway, "some to be back");
          const there = victims.filter((name) => !away.has(name));
          const victim = there[Math.floor(random() * there.length)]!;
          await core.kill(victim);
          const pause = random() * 1_000;
          const back = new Promise((resolve) => setTimeout(resolve, pause))
            .then(() => core.start(victim))
            .finally(() => away.delete(victim));
          away.set(victim, back);
          await new Promise((resolve) => setTimeout(resolve, 300 + random() * 700));
        }
        await Promise.all(away.values());
        ends = true;
        await Promise.all(submitting);
        const history = await expectNothingAmiss(recorder, next, { capacity, mayHaveUntold: false });
        process.stderr.write(`${next} tasks, ${kills} kills, ${history.told.length} answers and events\n`);
        berth.close();
      }
      await prepared.close();
    });
  });
}
