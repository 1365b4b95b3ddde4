import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./cluster.ts";
import type { TestCluster } from "./cluster.ts";

/** One more host of a cluster, on the same machine: an agent of its own, with the process driver. Its tasks end with it. `env` adds to its settings. */
export async function startSecondHost(
  cluster: TestCluster,
  hostId: string,
  env: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable> {
  const { layout } = cluster;
  const dir = join(cluster.data, hostId);
  const run = join(layout.run, hostId);
  for (const path of [dir, run]) mkdirSync(path, { recursive: true, mode: 0o711 });
  const settings = JSON.parse(readFileSync(layout.clusterFile, "utf8")) as { clusterId: string; natsPort: number };
  const ready = join(run, "ready");
  const log = openSync(join(layout.logs, `${hostId}.log`), "a");
  const child = spawn(
    join(repositoryRoot, "node_modules/.bin/node"),
    ["--disable-warning=ExperimentalWarning", join(repositoryRoot, "services/executor-agent/src/main.ts")],
    {
      stdio: ["ignore", log, log],
      env: {
        PATH: process.env["PATH"],
        BERTH_CLUSTER_ID: settings.clusterId,
        BERTH_CLUSTER_SECRET_FILE: join(layout.secrets, "cluster"),
        BERTH_STORAGE: `unix:${join(layout.run, "storage.sock")}`,
        BERTH_NATS_URL: `nats://127.0.0.1:${settings.natsPort}`,
        BERTH_NATS_USER: "control",
        BERTH_NATS_PASSWORD_FILE: join(layout.secrets, "nats-control"),
        BERTH_DATA_DIR: dir,
        BERTH_RUN_DIR: run,
        BERTH_FILES_DIR: join(cluster.data, "files"),
        BERTH_HOST_ID: hostId,
        BERTH_DRIVER: "process",
        BERTH_READY_FILE: ready,
        ...env,
      },
    },
  );
  const gone = once(child, "exit");
  while (!existsSync(ready)) {
    if (child.exitCode !== null)
      throw new Error(`the agent of ${hostId} ended with ${child.exitCode}; see ${layout.logs}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}
