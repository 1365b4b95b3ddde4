import { startCluster, until } from "@berth/test-support";
import { apiOf, submit, whenOver, whenRunning } from "@berth/test-support";
import { Outcome } from "@berth/contracts/types";
import { describe, expect, it } from "vitest";

describe("an agent that has its turn no more", () => {
  it("is started anew by the supervisor; what runs runs on", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const id = await submit(api, { script: "sleep 65\n" });
    await whenRunning(api, id);
    const pid = cluster.pidOf("agent")!;
    process.kill(pid, "SIGSTOP");
    const stoppedMs = performance.now();
    await until(() => ![pid, undefined].includes(cluster.pidOf("agent")), "another agent", 90_000);
    expect(performance.now() - stoppedMs).toBeGreaterThan(40_000);
    expect(await whenOver(api, id, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    api.close();
  });
});
