import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databaseInUse, repositoryRoot, runBerth, startCluster } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Saved {
  readonly dir: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}
const small = ["--cpu", "0.1", "--mem", "16M"];

describe.runIf(databaseInUse() === "SQLite")("a backup of a cluster on this machine", () => {
  let cluster: TestCluster;
  let saved: Saved;
  let first: string;
  const places: string[] = [];
  const place = (): string => {
    const dir = mkdtempSync(join(tmpdir(), "berth-backup-"));
    chmodSync(dir, 0o711);
    places.push(dir);
    return dir;
  };
  const ids = async (): Promise<string[]> =>
    (await cluster.json<{ tasks?: { id: string }[] }>(["ls", "--all"])).tasks?.map(({ id }) => id) ?? [];
  const submitted = async (): Promise<string> =>
    (await cluster.berth(["submit", ...small, "--", "true"])).stdout.trim();

  beforeAll(async () => {
    cluster = await startCluster({ driver: "process" });
    first = await submitted();
    await cluster.berth(["wait", first]);
    expect((await cluster.berth(["user", "add", "ben"])).code).toBe(0);
    // Made while tasks are submitted all the time.
    const stop = new AbortController();
    const busy = (async () => {
      for (let n = 0; n < 1_000 && !stop.signal.aborted; n += 1) await submitted();
    })();
    saved = await cluster.json<Saved>(["backup", place()]);
    stop.abort();
    await busy;
  });
  afterAll(async () => {
    await cluster?.close();
    for (const dir of places) rmSync(dir, { recursive: true, force: true });
  });

  it("is whole, is nobody else's to read, and leaves nothing unfinished", () => {
    expect(saved.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "storage/storage.db",
        "auth/auth.db",
        "auth/token-key.pem",
        "cluster.json",
        "secrets/cluster",
      ]),
    );
    expect(statSync(saved.dir).mode & 0o077).toBe(0);
    for (const { path } of saved.files) expect(statSync(join(saved.dir, path)).mode & 0o077, path).toBe(0);
    expect(readdirSync(join(saved.dir, "..")).filter((name) => name.includes("unfinished"))).toEqual([]);
  });

  it("is put back only where the cluster is down, whole, and of that cluster", async () => {
    expect(await cluster.berth(["restore", saved.dir])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("berth down --keep") as string,
    });
    expect((await runBerth(["restore", saved.dir, "--data", "/dev/null/x"])).code).not.toBe(0);
    const other = place();
    writeFileSync(
      join(other, "cluster.json"),
      readFileSync(cluster.layout.clusterFile, "utf8").replace(/"clusterId": "[^"]+"/, '"clusterId": "another"'),
    );
    expect((await runBerth(["restore", saved.dir, "--data", other])).stderr).toContain("another");
    const file = join(saved.dir, "auth/auth.db");
    const bytes = readFileSync(file);
    const changed = Buffer.from(bytes);
    changed[2_000]! ^= 1;
    writeFileSync(file, changed);
    const empty = place();
    expect((await runBerth(["restore", saved.dir, "--data", empty])).stderr).toContain("auth/auth.db");
    expect(existsSync(join(empty, "storage/storage.db"))).toBe(false);
    writeFileSync(file, bytes);
    expect((await runBerth(["restore", empty])).stderr).toContain("no backup");
  });

  it("takes a cluster back to that moment, with its users and keys, and keeps what it replaced", async () => {
    const later = await submitted();
    await cluster.berth(["wait", later]);
    expect((await cluster.berth(["user", "add", "carl"])).code).toBe(0);
    expect((await cluster.down("--kill")).code).toBe(0);
    const restored = await cluster.json<{ replaced: string }>(["restore", saved.dir]);
    expect(statSync(join(restored.replaced, "storage/storage.db")).size).toBeGreaterThan(0);
    expect((await cluster.up()).code).toBe(0);
    const found = await ids();
    expect(found).toContain(first);
    expect(found).not.toContain(later);
    // ben was there, carl not yet.
    expect((await cluster.berth(["user", "add", "ben"])).stderr).toContain("ben");
    expect((await cluster.berth(["user", "add", "carl"])).code).toBe(0);
    // No number that was given out is given out again.
    expect(Number(await submitted())).toBeGreaterThan(Number(later));
  });

  it("becomes a cluster in an empty directory, as on another machine", async () => {
    expect((await cluster.down("--kill")).code).toBe(0);
    const data = place();
    const env = { BERTH_DATA: data, XDG_CONFIG_HOME: join(data, "config"), NO_COLOR: "1" };
    expect((await runBerth(["restore", saved.dir], { env })).code).toBe(0);
    expect((await runBerth(["up", "--port", "0"], { env })).code).toBe(0);
    try {
      expect((await runBerth(["show", first, "--json"], { env })).stdout).toContain(`"id":"${first}"`);
      expect((await runBerth(["run", "-q", ...small, "--", "echo", "hello"], { env })).stdout).toBe("hello\n");
    } finally {
      expect((await runBerth(["down", "--kill"], { env })).code).toBe(0);
    }
  });

  it("that was put back only in part is not started, and is repeated", async () => {
    const data = place();
    const env = { BERTH_DATA: data, XDG_CONFIG_HOME: join(data, "config"), NO_COLOR: "1" };
    const mark = join(data, "restoring.json");
    // Killed at a moment in which some files are there.
    for (let tries = 0; !existsSync(mark); tries += 1) {
      if (tries > 50) throw new Error("never caught a restore at work");
      rmSync(data, { recursive: true, force: true });
      const child = spawn(join(repositoryRoot, "berth"), ["restore", saved.dir], {
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
        stdio: "ignore",
      });
      const ended = once(child, "close");
      while (!existsSync(mark) && child.exitCode === null) await new Promise((resolve) => setImmediate(resolve));
      child.kill("SIGKILL");
      await ended;
    }
    const refused = await runBerth(["up", "--port", "0"], { env });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(`berth restore ${saved.dir}`);
    expect((await runBerth(["restore", saved.dir], { env })).code).toBe(0);
    expect((await runBerth(["up", "--port", "0"], { env })).code).toBe(0);
    expect((await runBerth(["show", first], { env })).code).toBe(0);
    expect((await runBerth(["down", "--kill"], { env })).code).toBe(0);
  });
});
