import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuthServiceService } from "@berth/contracts/auth";
import { TaskStoreServiceService } from "@berth/contracts/store";
import { ScheduleServiceService } from "@berth/contracts/schedule";
import { Closing, grpcChannel, grpcClient, internalAuthorization } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";
import { repositoryRoot } from "./cluster.ts";
import { killKeepers } from "./keepers.ts";
import { testDatabase } from "./mongo-server.ts";
import { startNats } from "./nats-server.ts";

const mains = {
  storage: "services/storage/src/main.ts",
  auth: "services/auth/src/main.ts",
  scheduler: "services/scheduler/src/main.ts",
  watcher: "services/watcher/src/main.ts",
  gateway: "services/gateway/src/main.ts",
  sim: "services/executor-agent/src/sim-main.ts",
  agent: "services/executor-agent/src/main.ts",
} as const;
type CoreService = keyof typeof mains;

/** A service, or its second copy. */
export type CoreName = CoreService | `${CoreService}2`;

/** Services as processes of their own, any of them twice, without a supervisor: what is killed stays away until it is started again. */
export interface CoreProcesses extends AsyncDisposable {
  readonly dir: string;
  /** All copies, with commas, as clients are given them. */
  addressOf(service: CoreService): string;
  readonly store: GrpcClient<typeof TaskStoreServiceService>;
  readonly schedule: GrpcClient<typeof ScheduleServiceService>;
  readonly auth: GrpcClient<typeof AuthServiceService>;
  /** Resolves when it is ready; `env` is stronger than what all are given. */
  start(name: CoreName, env?: Readonly<Record<string, string>>): Promise<void>;
  /** Kill -9; resolves when it is gone. */
  kill(name: CoreName): Promise<void>;
  /** STOP and CONT. */
  signal(name: CoreName, signal: "SIGSTOP" | "SIGCONT" | "SIGTERM"): void;
  pidOf(name: CoreName): number;
  isAlive(name: CoreName): boolean;
  logOf(name: CoreName): string;
  /** Prometheus text of a process. */
  metricsOf(name: CoreName): Promise<string>;
  /** Of the nats-server that runs now. */
  natsPid(): number;
  /** Kill -9 of nats-server; what it knew is gone. */
  killNats(): Promise<void>;
  /** An empty one at the same address. */
  startNats(): Promise<void>;
}

export interface CoreOptions {
  readonly hosts?: number;
  /** How long a virtual task takes that does not say. */
  readonly simMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Started at once; default: all but gateway, auth and second copies. */
  readonly names?: readonly CoreName[];
  /** Known to the others, but not started yet. */
  readonly later?: readonly CoreName[];
  /** Where storage keeps its data instead of in `dir`. */
  readonly storageDir?: string;
}

/** Starts them in a directory of their own; disposing ends all and removes it. */
export async function startCore({
  hosts = 2,
  simMs = 0,
  env = {},
  names = ["storage", "scheduler", "watcher", "sim"],
  later = [],
  storageDir,
}: CoreOptions = {}): Promise<CoreProcesses> {
  const dir = mkdtempSync(join(tmpdir(), "berth-core-"));
  chmodSync(dir, 0o711); // tasks of other users pass through it
  const secret = randomBytes(16).toString("hex");
  const account = { user: "control", password: secret };
  let nats = await startNats({ dir: join(dir, "nats"), ...account });
  const closing = new Closing();
  const database = await testDatabase();
  const running = new Map<CoreName, ChildProcess>();
  const socket = (name: CoreName) => `unix:${join(dir, `${name}.sock`)}`;
  const addressOf = (service: CoreService): string => {
    const copies = [...names, ...later].filter((name) => name.replace(/2$/, "") === service);
    return (copies.length > 0 ? copies : [service]).map(socket).join(",");
  };
  writeVolumes(dir);
  const common = {
    PATH: process.env["PATH"] ?? "",
    NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(tmpdir(), "berth-test-compile-cache"),
    BERTH_CLUSTER_ID: "test",
    BERTH_CLUSTER_SECRET: secret,
    BERTH_STORAGE: addressOf("storage"),
    BERTH_AUTH: addressOf("auth"),
    BERTH_SCHEDULER: addressOf("scheduler"),
    BERTH_WATCHER: addressOf("watcher"),
    BERTH_VOLUMES_FILE: join(dir, "volumes.json"),
    BERTH_FILES_DIR: join(storageDir ?? dir, "files"),
    BERTH_RUN_DIR: dir,
    BERTH_NATS_URL: nats.url,
    BERTH_NATS_USER: account.user,
    BERTH_NATS_PASSWORD: secret,
    BERTH_SIM_HOSTS: String(hosts),
    BERTH_SIM_MS: String(simMs),
    ...(database ? { BERTH_DATABASE: database.url } : {}),
    ...env,
  };

  async function start(name: CoreName, own: Readonly<Record<string, string>> = {}): Promise<void> {
    const service = name.replace(/2$/, "") as CoreService;
    const ready = join(dir, `${name}.ready`);
    rmSync(ready, { force: true });
    const log = openSync(join(dir, `${name}.log`), "a");
    const child = spawn(
      join(repositoryRoot, "node_modules/.bin/node"),
      ["--disable-warning=ExperimentalWarning", join(repositoryRoot, mains[service])],
      {
        env: {
          ...common,
          BERTH_HOST_ID: name === "agent" ? "host-1" : name,
          ...(service === "agent" ? { BERTH_DRIVER: "process" } : {}),
          // A scheduler waits for auth's first answer; nobody is disabled where there is no auth.
          ...(service === "scheduler" && ![...names, ...later].includes("auth") ? { BERTH_AUTH: "" } : {}),
          BERTH_LISTEN: socket(name),
          BERTH_METRICS_ADDRESS: `unix:${join(dir, `${name}.metrics`)}`,
          // Copies of auth share their database, those of storage may not unless it is a server.
          BERTH_DATA_DIR:
            service === "storage" && storageDir ? storageDir : join(dir, service === "agent" ? name : service),
          BERTH_READY_FILE: ready,
          ...own,
        },
        stdio: ["ignore", log, log],
      },
    );
    closeSync(log);
    running.set(name, child);
    while (!existsSync(ready)) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}:\n${logOf(name)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const isAlive = (name: CoreName): boolean => {
    const child = running.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  };

  async function kill(name: CoreName): Promise<void> {
    if (!isAlive(name)) return;
    const child = running.get(name)!;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    rmSync(join(dir, `${name}.ready`), { force: true });
  }

  const logOf = (name: CoreName): string => readFileSync(join(dir, `${name}.log`), "utf8");
  const client = <D extends typeof TaskStoreServiceService | typeof ScheduleServiceService | typeof AuthServiceService>(
    definition: D,
    service: CoreService,
  ): GrpcClient<D> =>
    grpcClient(definition, grpcChannel(addressOf(service), { closing }), {
      service,
      authorization: internalAuthorization(secret),
      idempotent: true,
      deadlineMs: 20_000,
    });

  const core: CoreProcesses = {
    dir,
    addressOf,
    store: client(TaskStoreServiceService, "storage"),
    schedule: client(ScheduleServiceService, "scheduler"),
    auth: client(AuthServiceService, "auth"),
    start,
    kill,
    signal: (name, signal) => void process.kill(running.get(name)!.pid!, signal),
    pidOf: (name) => running.get(name)!.pid!,
    isAlive,
    logOf,
    metricsOf: (name) => readMetrics(join(dir, `${name}.metrics`)),
    natsPid: () => nats.pid,
    killNats: () => nats.kill(),
    async startNats() {
      rmSync(join(dir, "nats"), { recursive: true, force: true });
      nats = await startNats({ dir: join(dir, "nats"), port: nats.port, ...account });
    },
    async [Symbol.asyncDispose]() {
      await closing.close();
      for (const name of running.keys()) await kill(name);
      for (const name of running.keys()) sayErrors(name, logOf(name));
      killKeepers(join(dir, "agent", "keepers"));
      await nats.kill();
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
      await database?.remove();
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

/** An error in a service's log is a fault of the code or of the test, so it is printed. */
function sayErrors(name: string, log: string): void {
  const errors = log.split("\n").filter((line) => line.includes('"level":"error"'));
  for (const line of errors.slice(0, 5)) process.stderr.write(`${name}: ${line.slice(0, 2_000)}\n`);
}

/** One that every task may write to: `scratch`. */
function writeVolumes(dir: string): void {
  const scratch = join(dir, "scratch");
  mkdirSync(scratch);
  chmodSync(scratch, 0o1777);
  writeFileSync(
    join(dir, "volumes.json"),
    JSON.stringify([{ name: "scratch", path: scratch, mount: "/scratch", mode: "rw" }]),
  );
}

async function readMetrics(socketPath: string): Promise<string> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: "/metrics" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text));
    });
    asked.once("error", reject).end();
  });
}
