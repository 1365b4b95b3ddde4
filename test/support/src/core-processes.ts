import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { Closing, grpcChannel, grpcClient, internalAuthorization } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";
import { repositoryRoot } from "./cluster.ts";
import { startNats } from "./nats-server.ts";

export type CoreName = "storage" | "scheduler" | "scheduler2" | "watcher" | "sim";

/** What places and runs tasks, as processes, with virtual hosts and without gateway and auth. */
export interface CoreProcesses extends AsyncDisposable {
  readonly dir: string;
  readonly store: GrpcClient<typeof TaskStoreServiceService>;
  readonly schedule: GrpcClient<typeof ScheduleServiceService>;
  start(name: CoreName): Promise<void>;
  /** Kill -9; resolves when it is gone. */
  kill(name: CoreName): Promise<void>;
  pidOf(name: CoreName): number;
  logOf(name: CoreName): string;
}

export interface CoreOptions {
  readonly hosts?: number;
  /** How long a virtual task takes that does not say. */
  readonly simMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Started at once; default: all but the second scheduler. */
  readonly names?: readonly CoreName[];
}

const mains: Readonly<Record<CoreName, string>> = {
  storage: "services/storage/src/main.ts",
  scheduler: "services/scheduler/src/main.ts",
  scheduler2: "services/scheduler/src/main.ts",
  watcher: "services/watcher/src/main.ts",
  sim: "services/executor-agent/src/sim-main.ts",
};

/** Starts them in a directory of their own; disposing ends all and removes it. */
export async function startCore({
  hosts = 2,
  simMs = 0,
  env = {},
  names = ["storage", "scheduler", "watcher", "sim"],
}: CoreOptions = {}): Promise<CoreProcesses> {
  const dir = mkdtempSync(join(tmpdir(), "berth-core-"));
  const secret = randomBytes(16).toString("hex");
  const nats = await startNats({ dir: join(dir, "nats"), user: "control", password: secret });
  const closing = new Closing();
  const running = new Map<CoreName, ChildProcess>();
  const socket = (name: string) => `unix:${join(dir, `${name}.sock`)}`;
  const common = {
    PATH: process.env["PATH"] ?? "",
    BERTH_CLUSTER_ID: "test",
    BERTH_CLUSTER_SECRET: secret,
    BERTH_STORAGE: socket("storage"),
    BERTH_NATS_URL: nats.url,
    BERTH_NATS_USER: "control",
    BERTH_NATS_PASSWORD: secret,
    BERTH_HOST_ID: "sim",
    BERTH_SIM_HOSTS: String(hosts),
    BERTH_SIM_MS: String(simMs),
    ...env,
  };

  async function start(name: CoreName): Promise<void> {
    const ready = join(dir, `${name}.ready`);
    const log = openSync(join(dir, `${name}.log`), "a");
    const child = spawn(
      join(repositoryRoot, "node_modules/.bin/node"),
      ["--disable-warning=ExperimentalWarning", join(repositoryRoot, mains[name])],
      {
        env: { ...common, BERTH_LISTEN: socket(name), BERTH_DATA_DIR: join(dir, name), BERTH_READY_FILE: ready },
        stdio: ["ignore", log, log],
      },
    );
    running.set(name, child);
    while (!existsSync(ready)) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${logOf(name)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function kill(name: CoreName): Promise<void> {
    const child = running.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    rmSync(join(dir, `${name}.ready`), { force: true });
  }

  const logOf = (name: CoreName): string => readFileSync(join(dir, `${name}.log`), "utf8");
  const client = <D extends typeof TaskStoreServiceService | typeof ScheduleServiceService>(
    definition: D,
    name: string,
  ): GrpcClient<D> =>
    grpcClient(definition, grpcChannel(socket(name), { closing }), {
      service: name,
      authorization: internalAuthorization(secret),
      idempotent: true,
      deadlineMs: 20_000,
    });

  const core: CoreProcesses = {
    dir,
    store: client(TaskStoreServiceService, "storage"),
    schedule: client(ScheduleServiceService, "scheduler"),
    start,
    kill,
    pidOf: (name) => running.get(name)!.pid!,
    logOf,
    async [Symbol.asyncDispose]() {
      await closing.close();
      for (const name of running.keys()) await kill(name);
      await nats.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    for (const name of names) await start(name);
  } catch (error) {
    await core[Symbol.asyncDispose]();
    throw error;
  }
  return core;
}
