import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListHostsResponse } from "@berth/contracts/api";
import { Outcome } from "@berth/contracts/types";
import { runName } from "@berth/core";
import { loadDriver } from "@berth/plugins";
import { silentLogger } from "@berth/runtime";
import { apiOf, repositoryRoot, startCluster, startSecondHost, submit, whenOver } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeDriver } from "./driver-suite.ts";

const file = join(repositoryRoot, "test/example-driver/driver.ts");
/** As `npm install` of a package puts it; its name is this test's alone. */
const packageName = `berth-example-driver-${process.pid}`;
const installed = join(repositoryRoot, "node_modules", packageName);
beforeAll(() => symlinkSync(join(repositoryRoot, "test/example-driver"), installed));
afterAll(() => rmSync(installed));

const isRoot = process.getuid?.() === 0;
const id = isRoot ? 20_000 : process.getuid!();
const shell = (text: string): readonly string[] => ["/bin/sh", "-c", text];

for (const [how, name] of [
  ["from a file", file],
  ["from a package", packageName],
] as const)
  describeDriver(
    `of a site, ${how}`,
    async () => {
      const dir = mkdtempSync(join(tmpdir(), "berth-site-driver-"));
      chmodSync(dir, 0o777);
      const driver = await loadDriver(
        name,
        {},
        {
          config: { cpus: 2 },
          logger: silentLogger,
          clusterId: "c",
          hostId: "h",
          bootId: "b",
          dataDir: dir,
          capacity: { cpuMilli: undefined, memoryBytes: undefined },
          logSink: () => Promise.reject(new Error("its tasks write their output")),
        },
      );
      const place = (run: Parameters<typeof runName>[0]): string => join(dir, runName(run));
      return {
        make: () => driver,
        task(run, command, more) {
          mkdirSync(place(run), { recursive: true });
          return {
            run,
            command,
            identity: { user: "ann", uid: id, gid: id, groups: [] },
            image: "",
            env: { PATH: "/usr/bin:/bin" },
            workdir: undefined,
            resources: { cpuMilli: 100, memoryBytes: 1 },
            mounts: [],
            network: "none",
            controlDir: undefined,
            taskDir: place(run),
            stdoutPath: join(place(run), "out"),
            stderrPath: join(place(run), "err"),
            ...more,
          };
        },
        output: async (run) => readFileSync(join(place(run), "out"), "utf8"),
        close: async () => rmSync(dir, { recursive: true }),
      };
    },
    {
      succeed: ["true"],
      exit: (code) => shell(`exit ${code}`),
      sleep: (ms) => shell(`sleep ${ms / 1000}`),
      signalItself: (signal) => shell(`kill -${signal} $$`),
      ignoreTerm: (ms) => shell(`trap "" TERM; sleep ${ms / 1000}`),
      print: (text) => shell(`printf '${text}'`),
      notFound: ["no-such-program"],
    },
  );

describe("an agent with a site's driver", () => {
  it("runs tasks by it, as another host of the cluster", async () => {
    await using cluster = await startCluster({ driver: "process" });
    await using _site = await startSecondHost(cluster, "site", {
      BERTH_DRIVER: file,
      BERTH_DRIVER_CONFIG: '{"cpus": 64}',
    });
    const api = apiOf(cluster);
    // More than this machine has: only the site's driver says that it has so much.
    const task = await submit(api, {
      command: ["/bin/sh", "-c", "echo from $BERTH_TASK_ID"],
      resources: { cpuMilli: 63_000 },
    });
    expect(await whenOver(api, task, 20_000)).toMatchObject({ outcome: Outcome.SUCCEEDED, hostId: "site" });
    expect((await cluster.berth(["logs", task])).stdout).toBe(`from ${task}\n`);
    const { hosts } = ListHostsResponse.fromJSON(await cluster.json(["hosts"]));
    expect(hosts.find(({ id: name }) => name === "site")).toMatchObject({ driver: "example" });
    api.close();
  });

  it("does not start with a broken one, and says why: exit code 2, as for other settings", () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-broken-driver-"));
    const broken = join(dir, "broken.mjs");
    writeFileSync(broken, "export const driver = () => ({ getName: () => 'broken' });");
    const { status, stdout, stderr } = spawnSync(
      join(repositoryRoot, "node_modules/.bin/node"),
      [join(repositoryRoot, "services/executor-agent/src/main.ts")],
      {
        env: {
          BERTH_CLUSTER_ID: "c",
          BERTH_CLUSTER_SECRET: "a-secret-of-32-characters-or-more",
          BERTH_NATS_URL: "127.0.0.1:1",
          BERTH_NATS_USER: "u",
          BERTH_NATS_PASSWORD: "p",
          BERTH_DATA_DIR: join(dir, "data"),
          BERTH_DRIVER: broken,
        },
        encoding: "utf8",
        timeout: 20_000,
      },
    );
    expect(`${stdout}${stderr}`).toContain("DRIVER_INVALID");
    expect(`${stdout}${stderr}`).toContain("what driver() returns has no function features");
    expect(status).toBe(2);
    rmSync(dir, { recursive: true });
  });
});
