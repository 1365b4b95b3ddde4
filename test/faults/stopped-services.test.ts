import { join } from "node:path";
import { coreUser, leaderOf, ledgerTask, Recorder, startCore } from "@berth/test-support";
import type { CoreName } from "@berth/test-support";
import { describe, expect, it } from "vitest";
import { expectNothingAmiss } from "./nothing-amiss.ts";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
/** Longer than the leases of the scheduler and of the timers. */
const stopMs = slow ? 60_000 : 6_500;
const capacity = 8;
/** As long as it takes to notice that a connection is dead, and a try more. */
const noticedMs = 15_000;

type Victim = CoreName | "nats" | "leader";
const one: readonly Victim[] = ["gateway", "auth", "leader", "watcher", "storage", "agent", "nats"];
const rounds: readonly (readonly Victim[])[] = slow
  ? one.map((victim) => [victim])
  : [
      ["gateway", "auth", "leader"],
      ["storage", "watcher"],
      ["agent", "nats"],
    ];

describe(`services that are stopped for ${stopMs / 1000} s and go on`, () => {
  it("are left for their copies; every task ends once", { timeout: 900_000 }, async () => {
    await using core = await startCore({
      names: [
        "storage",
        "auth",
        "auth2",
        "gateway",
        "gateway2",
        "scheduler",
        "scheduler2",
        "watcher",
        "watcher2",
        "agent",
      ],
      env: { BERTH_CAPACITY_CPU: String(capacity), BERTH_CAPACITY_MEMORY: "8G", BERTH_LEASE_TTL_MS: "2000" },
    });
    const { berth } = await coreUser(core);
    const recorder = new Recorder(berth, join(core.dir, "scratch", "ledger"));
    await recorder.watch("w");
    const spec = ledgerTask("0.3");
    let submitted = 0;
    for (const victims of rounds) {
      const pids = await Promise.all(victims.map(async (victim) => pidOf(victim)));
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const end = performance.now() + stopMs;
      const answeredMs: number[] = [];
      try {
        while (performance.now() < end) {
          const from = performance.now();
          const submitting = recorder.submit([{ requestId: `r${submitted++}`, spec }]);
          // Without storage nobody can be answered before it goes on.
          if (victims.includes("storage")) {
            await new Promise((resolve) => setTimeout(resolve, stopMs));
            process.kill(pids[0]!, "SIGCONT");
          }
          expect(await submitting, recorder.unanswered.at(-1)).toBe(true);
          answeredMs.push(performance.now() - from);
          await new Promise((resolve) => setTimeout(resolve, 150));
        }
      } finally {
        for (const pid of pids) process.kill(pid, "SIGCONT");
      }
      process.stderr.write(
        `${victims.join(", ")} stopped: ${answeredMs.length} submits answered, the slowest after ${Math.round(Math.max(...answeredMs))} ms\n`,
      );
      expect(Math.max(...answeredMs), `an answer while ${victims.join(", ")} stood still`).toBeLessThan(
        noticedMs + (victims.includes("storage") ? stopMs : 0),
      );
    }
    await expectNothingAmiss(recorder, submitted, { capacity });
    berth.close();

    async function pidOf(victim: Victim): Promise<number> {
      if (victim === "nats") return core.natsPid();
      return core.pidOf(victim === "leader" ? (await leaderOf(core)).leader : victim);
    }
  });
});
