import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ListHostsResponse } from "@berth/contracts/api";
import { HostStatus } from "@berth/contracts/types";
import { startInitialisedCluster } from "@berth/test-support";
import type { InitialisedCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Hosts that join a cluster of `berth init` by one-time tokens. */
describe("a machine with a token", () => {
  let cluster: InitialisedCluster;
  const etc = (name: string) => join(cluster.dir, "hosts", name);
  const token = async (...options: string[]): Promise<string> => {
    const made = await cluster.berth(["host", "token", "--json", ...options]);
    expect(made.stderr).toBe("");
    return (JSON.parse(made.stdout) as { token: string }).token;
  };
  const join_ = (name: string, by: string, ...options: string[]) =>
    cluster.berth([
      "agent",
      "join",
      cluster.addresses.gateway,
      by,
      "--dir",
      etc(name),
      "--driver",
      "process",
      "--data-dir",
      join(cluster.dir, `agent-${name}`),
      ...options,
    ]);
  const startAgent = (name: string) =>
    cluster.start(`agent-${name}`, ["serve", "agent", "--env", join(etc(name), "service.env")], {
      BERTH_RUN_DIR: cluster.dir,
      BERTH_CAPACITY_CPU: "1",
    });
  const hosts = async () =>
    ListHostsResponse.fromJSON(JSON.parse((await cluster.berth(["hosts", "--json"])).stdout)).hosts;

  beforeAll(async () => {
    cluster = await startInitialisedCluster();
    mkdirSync(join(cluster.dir, "hosts"), { mode: 0o711 });
  }, 120_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it("becomes a host within a minute, with keys that only it has, and runs tasks", async () => {
    for (const name of ["Node_A", "node-b"]) {
      const joined = await join_(name, await token(), "--name", name);
      expect(joined, joined.stderr).toMatchObject({
        code: 0,
        stdout: `berth serve agent --env ${etc(name)}/service.env\n`,
      });
      expect(readFileSync(join(etc(name), "service.env"), "utf8")).not.toMatch(/SECRET|PASSWORD/);
      await startAgent(name);
    }
    await expect
      .poll(async () => (await hosts()).filter(({ status }) => status === HostStatus.UP).map(({ id }) => id), {
        timeout: 20_000,
      })
      .toEqual(["Node_A", "node-b"]);
    // One on each: a host has one core.
    const runs = await Promise.all(
      [1, 2].map(() => cluster.berth(["run", "--cpu", "1", "-q", "--", "sh", "-c", "echo hello; sleep 2"])),
    );
    for (const run of runs) expect(run).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
    const used = JSON.parse((await cluster.berth(["ls", "--json", "--all"])).stdout) as { tasks: { hostId: string }[] };
    expect(new Set(used.tasks.map(({ hostId }) => hostId))).toEqual(new Set(["Node_A", "node-b"]));
  });

  it("may say it again, and nobody else may use its token", async () => {
    const once = await token();
    const first = await join_("again", once, "--name", "again");
    expect(first, first.stderr).toMatchObject({ code: 0 });
    const keyOf = () => readFileSync(join(etc("again"), "identity/identity.pem"), "utf8").split("-----BEGIN CERT")[0];
    const key = keyOf();
    expect(await join_("again", once, "--name", "again")).toEqual(first);
    expect(keyOf()).toBe(key);
    // By a new token it is a new machine, which may take the place of the one before, and nothing of that one is left.
    const place = await join_("again", await token("--host", "again"));
    expect(place, place.stderr).toMatchObject({ code: 0 });
    expect(keyOf()).not.toBe(key);
    expect(readdirSync(etc("again")).filter((name) => name.startsWith("joining-"))).toHaveLength(1);
    // Another machine, that is another directory.
    expect(await join_("thief", once, "--name", "thief")).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("used by another machine") as string,
    });
    expect(existsSync(join(etc("thief"), "service.env"))).toBe(false);
  });

  it("is refused with a token that has ended, of another cluster, for a name that is taken, or made up", async () => {
    const short = await token("--ttl", "1s");
    const fingerprint = short.split("_")[1]!;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await join_("late", short, "--name", "late")).stderr).toContain("out of date");
    const foreign = `berth-join_${"0".repeat(64)}_${"a".repeat(43)}`;
    expect((await join_("foreign", foreign)).stderr).toContain("does not show the authority");
    const invented = `berth-join_${fingerprint}_${"a".repeat(43)}`;
    expect((await join_("invented", invented, "--name", "x")).stderr).toContain("unknown");
    expect((await join_("taken", await token(), "--name", "Node_A")).stderr).toContain(
      "another machine has joined as Node_A",
    );
    expect((await join_("invented", "nonsense")).code).toBe(2);
  });
});
