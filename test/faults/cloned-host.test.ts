import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ListHostsResponse } from "@berth/contracts/api";
import { Outcome } from "@berth/contracts/types";
import { apiOf, startCluster, startSecondHost, submit, ticker, ticksOf, until, whenOver } from "@berth/test-support";
import { describe, expect, it } from "vitest";

describe("two machines with one host name", () => {
  it("run each task once: the second starts nothing and says why, and a restarted first is known at once", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const api = apiOf(cluster);
    const hosts = async () => ListHostsResponse.fromJSON(await cluster.json(["hosts"])).hosts;
    const [host] = await hosts();
    await using _second = await startSecondHost(cluster, host!.id);
    const log = join(cluster.layout.logs, `${host!.id}.log`);
    await until(() => readFileSync(log, "utf8").includes("HOST_NAME_TAKEN"), "the second to be refused", 30_000);
    const names = ["a", "b", "c", "d"];
    const ids = await Promise.all(names.map((name) => submit(api, ticker(name, 20))));
    for (const id of ids)
      expect(await whenOver(api, id, 60_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    for (const name of names) expect(ticksOf(cluster, name)).toEqual(Array.from({ length: 20 }, () => "1"));
    expect((await cluster.berth(["hosts"])).stdout).toContain("another agent uses this name");
    expect((await hosts())[0]).toMatchObject({ journalId: host!.journalId, agentId: host!.agentId });

    await cluster.kill("agent");
    const after = await submit(api, { command: ["true"] });
    expect(await whenOver(api, after, 20_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, attempt: 1 });
    expect((await hosts())[0]).toMatchObject({ journalId: host!.journalId, agentId: host!.agentId });
    api.close();
  });
});

describe("an agent with another cluster's secret", () => {
  it("joins no cluster, though it knows how to reach the bus, and says why", async () => {
    await using cluster = await startCluster({ driver: "process" });
    const secret = join(cluster.data, "other-secret");
    writeFileSync(secret, "another-secret-of-32-characters!", { mode: 0o600 });
    await using _stranger = await startSecondHost(cluster, "stranger", { BERTH_CLUSTER_SECRET_FILE: secret });
    const log = join(cluster.layout.logs, "stranger.log");
    await until(() => readFileSync(log, "utf8").includes("WRONG_CLUSTER_SECRET"), "the stranger to be refused", 30_000);
    const { hosts } = ListHostsResponse.fromJSON(await cluster.json(["hosts"]));
    expect(hosts.map(({ id }) => id)).not.toContain("stranger");
  });
});
