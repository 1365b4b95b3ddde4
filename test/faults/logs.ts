import { MiB } from "@berth/core";
import { Outcome } from "@berth/contracts/types";
import { apiOf, readLog, startCluster, submit, until, whenOver, whenRunning } from "@berth/test-support";
import type { Prepare, TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const lines = 200_000;

/** The agent dies three times under a task that prints a lot. */
export function describeLogs(driver: "process" | "docker", prepare?: Prepare): void {
  describe(`output with the ${driver} driver`, () => {
    let cluster: TestCluster;
    beforeAll(async () => void (cluster = await startCluster({ driver, ...(prepare && { prepare }) })), 120_000);
    afterAll(() => cluster?.close(), 60_000);

    it(`has each of ${lines} lines once and in order, though the agent was killed three times`, async () => {
      const api = apiOf(cluster);
      const id = await submit(api, {
        // In four parts with pauses, so that the agent dies while it prints.
        script: `i=1; for part in 1 2 3 4; do while [ $i -le $((part * ${lines / 4})) ]; do echo "line $i"; i=$((i+1)); done; sleep 0.5; done\n`,
        resources: { cpuMilli: 1000, memoryBytes: 64 * MiB },
      });
      await whenRunning(api, id);
      for (let kill = 0; kill < 3; kill++) {
        const pid = cluster.pidOf("agent");
        await cluster.kill("agent");
        await until(() => ![undefined, pid].includes(cluster.pidOf("agent")), "the agent to be back");
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      const task = await whenOver(api, id, 120_000);
      expect(task).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
      const text = await readLog(api, id);
      const printed = text.trimEnd().split("\n");
      expect(printed.length).toBe(lines);
      expect(printed.findIndex((line, i) => line !== `line ${i + 1}`)).toBe(-1);
      expect(task.logSizes?.stdoutBytes).toBe(Buffer.byteLength(text));
      api.close();
    });
  });
}
