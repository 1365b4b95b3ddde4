import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MiB } from "@berth/core";
import { Outcome, TaskState } from "@berth/contracts/types";
import { apiOf, getTask, startCluster, submit, whenOver, whenRunning } from "@berth/test-support";
import type { TestCluster } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const small = { cpuMilli: 100, memoryBytes: 16 * MiB };

/** Processes that have the directory in their command line or environment. */
function processesOf(data: string): string[] {
  const lines = execFileSync("ps", ["-eo", "pid=,args=", "ww"], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes(data) && !line.includes("vitest"));
}

function openPaths(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(join(folder, fd));
    } catch {
      return ""; // closed meanwhile
    }
  });
}

describe("berth up and down", () => {
  it("comes back with its tasks and history, and leaves nothing when it is down", async () => {
    const cluster = await startCluster({ driver: "process" });
    let api = apiOf(cluster);
    const ended = await submit(api, { command: ["sh", "-c", "echo kept"], resources: small });
    await whenOver(api, ended);
    const waiting = await submit(api, {
      command: ["true"],
      resources: small,
      dependencies: [{ kind: "KIND_AFTER", taskId: ended }],
    });
    await whenOver(api, waiting);
    const running = await submit(api, { command: ["sleep", "60"], resources: small });
    await whenRunning(api, running);
    api.close();

    const refused = await cluster.down();
    expect(refused.code).toBe(2);
    expect(refused.stdout + refused.stderr).toContain(running);

    expect((await cluster.down("--kill")).code).toBe(0);
    expect(processesOf(cluster.data)).toEqual([]);
    expect(existsSync(cluster.layout.run)).toBe(false);

    expect((await cluster.up()).code).toBe(0);
    api = apiOf(cluster);
    expect(await getTask(api, ended)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.SUCCEEDED });
    expect(await getTask(api, running)).toMatchObject({ state: TaskState.OVER, outcome: Outcome.KILLED });
    expect((await getTask(api, running)).reason?.message).toContain("berth");
    api.close();
    await cluster.close();
  });
});

describe("a cluster that berth up made", () => {
  let cluster: TestCluster;
  beforeAll(async () => void (cluster = await startCluster({ driver: "process" })));
  afterAll(() => cluster?.close());

  it("keeps secrets in files of mode 0600 and listens on loopback only", async () => {
    for (const file of [
      cluster.layout.clientFile,
      join(cluster.layout.secrets, "cluster"),
      join(cluster.layout.secrets, "first-user.json"),
      join(cluster.layout.secrets, "nats.conf"),
    ]) {
      expect(statSync(file).mode & 0o777, file).toBe(0o600);
    }
    const pids = ["gateway", "auth", "storage", "scheduler", "watcher", "agent", "nats"].map((name) =>
      cluster.pidOf(name as "gateway"),
    );
    const listening = execFileSync("ss", ["-Hltnp"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => pids.some((pid) => line.includes(`pid=${pid},`)));
    expect(listening.length).toBeGreaterThan(0);
    for (const line of listening) expect(line).toMatch(/127\.0\.0\.1:\d+/);
  });

  it("passes no open file of whoever types berth up to a task, and holds none of their locks", async () => {
    await cluster.down();
    const guarded = join(cluster.data, "guarded");
    const locked = join(cluster.data, "locked");
    writeFileSync(guarded, "", { mode: 0o600 });
    const withOpenFiles = [
      "bash",
      "-c",
      `exec 77<>${guarded} 5<>${guarded} 88<>${locked}; flock 88; exec "$@"`,
      "bash",
    ];
    const up = await cluster.berth(["up", "--driver", "process", "--port", "0"], { through: withOpenFiles });
    expect(up.code, up.stderr).toBe(0);
    // A lock of a process that still has the file open would not be had.
    execFileSync("flock", ["-n", locked, "true"]);
    const ran = await cluster.berth([
      "run",
      "--",
      "sh",
      "-c",
      "ls -l /proc/self/fd | sed 1d | awk '{ print $9, $11 }'",
    ]);
    const files = ran.stdout.trim().split("\n");
    // The fourth is the directory that ls reads.
    expect(files.map((line) => line.split(" ")[0])).toEqual(["0", "1", "2", "3"]);
    expect(ran.stdout).not.toContain(cluster.data + "/guarded");
    for (const name of ["supervisor", "nats", "gateway", "storage", "auth", "scheduler", "watcher", "agent"] as const)
      expect(openPaths(cluster.pidOf(name)!), name).not.toContain(guarded);
  });

  it("says at once which service cannot start and why, also in status, and starts it again with the next up", async () => {
    await cluster.down();
    const { clusterFile } = cluster.layout;
    const whole = JSON.parse(readFileSync(clusterFile, "utf8")) as object;
    const watcher = { BERTH_LOSS_MARGIN_MS: "soon", BERTH_RETENTION_DAYS: "-1" };
    writeFileSync(clusterFile, JSON.stringify({ ...whole, settings: { watcher } }));
    const failed = await cluster.up();
    expect(failed.code).not.toBe(0);
    for (const words of [failed.stderr, (await cluster.berth(["status"])).stdout]) {
      expect(words).toContain("watcher stays down until berth up is run again");
      for (const name of Object.keys(watcher)) expect(words).toContain(name);
    }
    expect((await cluster.berth(["status"])).code).toBe(1);
    writeFileSync(clusterFile, JSON.stringify(whole));
    expect((await cluster.up()).code).toBe(0);
    expect((await cluster.berth(["status"])).code).toBe(0);
  });

  it("stays down with a word where the agent's journal or the database is damaged, and may be taken down then", async () => {
    await cluster.down();
    for (const [service, path] of [
      ["agent", join(cluster.data, "agent", "journal.db")],
      ["storage", join(cluster.data, "storage", "storage.db")],
    ] as const) {
      const whole = readFileSync(path);
      writeFileSync(path, Buffer.alloc(whole.length, "damaged "));
      const failed = await cluster.up();
      expect(failed.code, service).not.toBe(0);
      expect(failed.stderr).toContain(`${service} stays down until berth up is run again`);
      expect(failed.stderr).toContain(path);
      if (service === "storage") {
        const refused = await cluster.down();
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain("berth down --keep");
      }
      expect(await cluster.down("--keep")).toMatchObject({ code: 0 });
      writeFileSync(path, whole);
      const up = await cluster.up();
      expect(up.code, up.stderr).toBe(0);
      await cluster.down();
    }
  });

  it("warns of a limit of open files that is too low, and comes up", async () => {
    await cluster.down();
    const limited = { through: ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"] };
    const up = await cluster.berth(["up", "--driver", "process", "--port", "0"], limited);
    expect(up.stderr).toContain("only 256 files may be open at once");
    expect(up.code, up.stderr).toBe(0);
    expect((await cluster.berth(["run", "--", "true"])).code).toBe(0);
  });

  it("finds a running cluster up, and says all is well", async () => {
    const pid = cluster.pidOf("storage");
    expect(await cluster.up()).toMatchObject({ code: 0, stderr: "" });
    const other = await cluster.berth(["up", "--driver", "sim", "--port", "7", "--metrics-port", "9470"]);
    expect(other.code).toBe(0);
    for (const option of ["--driver sim", "--port 7", "--metrics-port"]) expect(other.stderr).toContain(option);
    expect(cluster.pidOf("storage")).toBe(pid);
    expect((await cluster.berth(["status"])).code).toBe(0);
  });
});
