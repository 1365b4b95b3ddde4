import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { initCluster } from "./init-cluster.ts";

describe("initCluster", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-init-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const here = "127.0.0.1";
  const init = () =>
    initCluster({
      dir,
      cluster: "lab",
      addresses: { nats: here, storage: here, auth: here, scheduler: here, watcher: here, gateway: here },
      dataDir: join(dir, "data"),
      names: [],
      admin: { name: "ada", uid: 20_000 },
      now: new Date(),
    });
  const authorityKey = () => readFileSync(join(dir, "auth/authority/ca-key.pem"), "utf8");

  it("removes no service's directory that it did not make in an interrupted attempt", async () => {
    await init();
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
    const key = authorityKey();
    await expect(init()).rejects.toMatchObject({ reason: "CLUSTER_EXISTS" });
    rmSync(join(dir, "ca.pem")); // a machine that got auth's directory alone has none
    await expect(init()).rejects.toMatchObject({ reason: "CLUSTER_EXISTS" });
    expect(authorityKey()).toBe(key);
  });

  it("repeats an attempt that was interrupted before ca.pem was written", async () => {
    await init();
    rmSync(join(dir, "ca.pem"));
    mkdirSync(join(dir, ".init-1"));
    const key = authorityKey();
    await init();
    expect(authorityKey()).not.toBe(key);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
