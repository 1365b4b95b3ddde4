import { serviceNames } from "@berth/local";
import { MiB } from "@berth/core";
import { Outcome } from "@berth/contracts/types";
import { apiOf, Ledger, startCluster, submit, until, whenOver } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const slow = process.env["BERTH_TEST_SIZE"] === "slow";
const minuteMs = 60_000;
const resources = { cpuMilli: 300, memoryBytes: 16 * MiB };

/** Nobody sends SIGCONT: the supervisor's own patience, as every `berth up` has it, has to do. */
describe.runIf(slow)("a service that stands still for a minute under berth up", () => {
  let cluster: TestCluster;
  beforeAll(async () => void (cluster = await startCluster({ driver: "process" })), 120_000);
  afterAll(() => cluster?.close(), 60_000);

  it.each(serviceNames)(
    "%s is started anew within it; every task ends once, with its own code",
    async (name) => {
      const api = apiOf(cluster);
      const ledger = new Ledger(cluster, api, `minute-${name}`, "0.3");
      const long = await submit(api, { command: ["sleep", "70"], resources });
      await ledger.submit(30, resources);
      const pid = cluster.pidOf(name)!;
      const others = serviceNames
        .filter((other) => other !== name)
        .map((other) => [other, cluster.pidOf(other)!] as const);
      process.kill(pid, "SIGSTOP");
      await until(() => ![pid, undefined].includes(cluster.pidOf(name)), `another ${name}`, minuteMs);
      await ledger.submit(30, resources);
      await ledger.waitUntilOver();
      expect(await ledger.faults({ mayLose: false })).toEqual([]);
      expect(await whenOver(api, long, 2 * minuteMs)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      for (const [other, before] of others) expect(cluster.pidOf(other), other).toBe(before);
      api.close();
    },
    5 * minuteMs,
  );
});
