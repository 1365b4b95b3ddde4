import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectBerth } from "@berth/sdk";
import { startInitialisedCluster } from "@berth/test-support";
import type { InitialisedCluster } from "@berth/test-support";
import { fingerprintOf } from "@berth/identity";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** A cluster as `berth init` makes it. */
describe("a cluster of berth init", () => {
  let cluster: InitialisedCluster;
  beforeAll(async () => void (cluster = await startInitialisedCluster()), 120_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  it("has an admin, and services that are well, all by TLS", async () => {
    const status = await cluster.berth(["status", "--json"]);
    const { services } = JSON.parse(status.stdout) as { services: { name: string; ok: boolean; detail: string }[] };
    expect(services.filter(({ ok }) => !ok)).toEqual([]);
    expect(services.map(({ name }) => name)).toEqual(["gateway", "storage", "auth", "scheduler", "watcher"]);
  });

  it("answers nobody by plain text, and nobody who trusts another authority", async () => {
    const { X509Certificate } = await import("node:crypto");
    const { createAuthority } = await import("@berth/identity");
    const other = (await createAuthority("lab", new Date())).certificatePem;
    expect(new X509Certificate(other).ca).toBe(true);
    for (const ca of [undefined, other, "system"]) {
      const berth = connectBerth({ address: cluster.addresses.gateway, ca, patienceMs: 0, deadlineMs: 3_000 });
      await expect(berth.session.whoAmI({})).rejects.toMatchObject({ code: "unavailable" });
      berth.close();
    }
  });

  it("takes a log-in by the authority's fingerprint, and by no other", async () => {
    const key = readFileSync(join(cluster.dir, "etc/admin/key"), "utf8");
    const login = (fingerprint: string) =>
      cluster.berth(["login", cluster.addresses.gateway, "--ca-fingerprint", fingerprint, "--key-stdin"], {
        input: key,
      });
    const right = fingerprintOf(cluster.ca);
    const wrong = await login(right.replace(/^./, (digit) => (digit === "0" ? "1" : "0")));
    expect(wrong).toMatchObject({ code: 4, stderr: expect.stringContaining("another cluster's") as string });
    expect(await login(right.toUpperCase())).toMatchObject({ code: 0 });
    expect(await cluster.berth(["ls"])).toMatchObject({ code: 0 });
  });

  it("makes no admin twice, and one more for who has auth's directory and its data", async () => {
    const env = join(cluster.dir, "etc/auth/service.env");
    const first = await cluster.berth(["user", "first", "eve", "--env", env]);
    expect(first.stderr).toContain("has an admin already");
    const rescued = await cluster.berth([
      "user",
      "first",
      "eve",
      "--env",
      env,
      "--uid",
      "20123",
      "--rescue",
      join(cluster.dir, "data/auth"),
    ]);
    expect(rescued).toMatchObject({ code: 0, stdout: expect.stringMatching(/^berth_/) as string });
  });

  it("is not made twice, and its certificates are renewed under it", async () => {
    const etc = join(cluster.dir, "etc");
    expect(await cluster.berth(["init", etc])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("a cluster already") as string,
    });
    const before = readFileSync(join(etc, "storage/identity/identity.pem"), "utf8");
    const pid = cluster.pidOf("storage");
    const renewed = await cluster.berth(["init", etc, "--renew", join(etc, "auth")]);
    expect(renewed.stdout.trim().split("\n").toSorted()).toEqual(
      ["auth", "gateway", "nats", "scheduler", "storage", "watcher"].map((name) => join(etc, name)),
    );
    expect(readFileSync(join(etc, "storage/identity/identity.pem"), "utf8")).not.toBe(before);
    await expect
      .poll(() => cluster.logOf("storage"), { timeout: 10_000 })
      .toContain("the identity's files were read again");
    expect(await cluster.berth(["ls"])).toMatchObject({ code: 0 });
    expect(cluster.pidOf("storage")).toBe(pid);
  });
});
