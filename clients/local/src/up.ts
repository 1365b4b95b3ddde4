import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, chmodSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AppError } from "@berth/core";
import { isToken } from "@berth/contracts";
import { connectBerth } from "@berth/sdk";
import { refuseUnfinishedRestore } from "./backup/restore-backup.ts";
import { makeFirstUser } from "./first-user.ts";
import type { ClientFile } from "./first-user.ts";
import { freePort, makeDirectories, newClusterId, readClusterFile, writeFileWhole } from "./cluster-file.ts";
import type { ClusterFile } from "./cluster-file.ts";
import { describeFault, forgetFault, readFaults } from "./faults.ts";
import { findNatsServer } from "./find-nats.ts";
import { closeInheritedFiles } from "./inherited-files.ts";
import type { Layout } from "./layout.ts";
import { takeLock } from "./lock.ts";
import { openFilesWarning } from "./open-files.ts";
import { findProcess } from "./processes.ts";
import type { Progress } from "./progress.ts";
import { serviceNames } from "./services.ts";

export interface UpOptions {
  /** auto: docker if an engine answers, else process. sim has virtual hosts that run nothing, to try the scheduler. */
  readonly driver: "auto" | "docker" | "process" | "sim";
  /** Number of virtual hosts of the sim driver. */
  readonly simHosts: number;
  /** Port of the gateway; 0: any. */
  readonly port: number;
  /** Receiver of traces, if any. */
  readonly otlpUrl: string;
  /** First port for metrics; 0: keep the cluster's choice, which is Unix sockets for a new one. */
  readonly metricsPort: number;
  /** `mongodb://…/name` for storage and auth, chosen when the cluster is made; empty: SQLite. */
  readonly database: string;
  /** Root of the installation. */
  readonly root: string;
}

export const defaultGatewayPort = 7433;
const readyWithinMs = 60_000;

/** Starts the cluster of a data directory, and creates it first if there is none. A cluster that is up already is no error. Throws AppError with the command that would help. */
export async function bringUp(
  layout: Layout,
  options: UpOptions,
  progress: Progress,
): Promise<{ readonly cluster: ClusterFile; readonly wasUp: boolean }> {
  closeInheritedFiles();
  const fewFiles = openFilesWarning();
  if (fewFiles !== undefined) progress.note(fewFiles);
  makeDirectories(layout);
  const unlock = await takeLock(layout);
  try {
    refuseUnfinishedRestore(layout);
    const known = readClusterFile(layout);
    if (known && options.database !== "" && options.database !== known.database)
      throw new AppError("precondition", "OTHER_DATABASE", "this cluster was made with another database, and keeps it");
    const wasUp = known !== undefined && allReady(layout);
    if (known) for (const words of withoutEffect(known, options, wasUp)) progress.note(words);
    if (known && wasUp) return { cluster: known, wasUp };
    const cluster = known ? await freshPorts(layout, known) : await makeCluster(layout, options, progress);
    writeFileWhole(
      layout.clusterFile,
      `${JSON.stringify({ ...cluster, otlpUrl: options.otlpUrl || cluster.otlpUrl, metricsPort: options.metricsPort || cluster.metricsPort }, null, 2)}\n`,
    );
    progress.step("starting nats-server, six services and the agent");
    await startSupervisor(layout, options.root);
    await waitUntilReady(layout, progress);
    await makeFirstUser(layout, cluster);
    await waitForHost(layout, progress);
    progress.done();
    return { cluster, wasUp };
  } finally {
    unlock();
  }
}

/** One sentence per option that has no effect on a cluster that exists already. */
function withoutEffect(known: ClusterFile, options: UpOptions, wasUp: boolean): string[] {
  const { driver, port, otlpUrl, metricsPort } = options;
  return [
    ...(driver !== "auto" && driver !== known.driver
      ? [`--driver ${driver} has no effect: this cluster was made with driver ${known.driver}`]
      : []),
    ...(port !== 0 && port !== defaultGatewayPort && port !== known.gatewayPort
      ? [`--port ${port} has no effect: this cluster was made with port ${known.gatewayPort}`]
      : []),
    ...(wasUp && otlpUrl !== "" && otlpUrl !== known.otlpUrl ? ["--otlp takes effect after berth down"] : []),
    ...(wasUp && metricsPort !== 0 && metricsPort !== known.metricsPort
      ? ["--metrics-port takes effect after berth down"]
      : []),
  ];
}

async function makeCluster(layout: Layout, options: UpOptions, progress: Progress): Promise<ClusterFile> {
  progress.step("looking for nats-server");
  const natsServer = await findNatsServer(layout, progress);
  progress.done(natsServer);
  const wantsEngine = options.driver === "auto" || options.driver === "docker";
  const engine = wantsEngine ? await probeEngine(options.root, progress) : noEngine;
  if (options.driver === "docker" && engine.driver !== "docker")
    throw new AppError("precondition", "NO_DOCKER_ENGINE", `no Docker engine answers: ${engine.why}`);
  const driver = options.driver === "sim" ? "sim" : engine.driver;
  progress.note(driverLine(driver, engine.why));
  const name = hostname()
    .split(".")[0]!
    .replaceAll(/[^A-Za-z0-9_-]/g, "-");
  writeVolumes(layout);
  return {
    clusterId: newClusterId(),
    hostId: isToken(name) ? name : "host-1",
    driver,
    simHosts: options.simHosts,
    engine: engine.engine,
    defaultImage: engine.image,
    natsServer,
    natsPort: await freePort(0),
    gatewayPort: await freePort(options.port),
    otlpUrl: options.otlpUrl,
    metricsPort: options.metricsPort,
    ...(options.database === "" ? {} : { database: options.database }),
  };
}

/** Chooses new ports for those that another program took while the cluster was down. A running process keeps its port. */
async function freshPorts(layout: Layout, known: ClusterFile): Promise<ClusterFile> {
  const natsPort = findProcess(layout.run, "nats") ? known.natsPort : await freePort(known.natsPort);
  const gatewayPort = findProcess(layout.run, "gateway") ? known.gatewayPort : await freePort(known.gatewayPort);
  return { ...known, natsPort, gatewayPort };
}

function driverLine(driver: ClusterFile["driver"], why: string): string {
  if (driver === "docker") return `driver: docker, ${why}`;
  if (driver === "sim") return "driver: sim; virtual hosts that run nothing";
  return `driver: process, ${why}; tasks are plain processes of this machine, without isolation`;
}

interface Probe {
  readonly driver: "docker" | "process";
  readonly engine: string;
  readonly image: string;
  readonly why: string;
}

const noEngine: Probe = { driver: "process", engine: "", image: "", why: "as asked" };

/** Runs the agent's probe in a child process: which Docker engine would it use? The probe also prepares the default image. */
async function probeEngine(root: string, progress: Progress): Promise<Probe> {
  progress.step("looking for a Docker engine");
  const child = spawn(
    join(root, "node_modules", ".bin", "node"),
    [join(root, "services", "executor-agent", "src", "probe-main.ts")],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let probe: Probe = { ...noEngine, why: "the look for a Docker engine failed" };
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as { progress: string } | Probe;
    if ("progress" in message) progress.update(message.progress);
    else probe = message;
  }
  progress.done();
  return probe;
}

/** Named volumes of a new cluster; the site edits the file. */
function writeVolumes(layout: Layout): void {
  const path = join(layout.data, "volumes.json");
  if (existsSync(path)) return;
  const texts = join(layout.data, "demo", "texts");
  const scratch = join(layout.data, "scratch");
  mkdirSync(texts, { recursive: true, mode: 0o755 });
  mkdirSync(scratch, { recursive: true });
  chmodSync(scratch, 0o1777); // like /tmp: all users may write, and none may remove another's files
  const volumes = [
    { name: "texts", path: texts, mount: "/texts", mode: "ro" },
    { name: "scratch", path: scratch, mount: "/scratch", mode: "rw" },
  ];
  writeFileWhole(path, `${JSON.stringify(volumes, null, 2)}\n`);
}

async function startSupervisor(layout: Layout, root: string): Promise<void> {
  const present = findProcess(layout.run, "supervisor");
  // A supervisor with old settings is ended first. Its services run on, and the new supervisor adopts them.
  if (present) {
    process.kill(present.pid, "SIGUSR2");
    const until = Date.now() + readyWithinMs;
    while (findProcess(layout.run, "supervisor")) {
      if (Date.now() > until)
        throw new AppError("unavailable", "NOT_READY", `the supervisor (pid ${present.pid}) does not give way; end it`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  for (const { name } of readFaults(layout)) forgetFault(layout, name);
  const log = openSync(join(layout.logs, "supervisor.log"), "a", 0o600);
  const child = spawn(
    join(root, "node_modules", ".bin", "node"),
    [join(root, "clients", "local", "src", "supervisor-main.ts"), layout.data, root],
    {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: layout.data,
      env: { ...process.env, NODE_COMPILE_CACHE: join(layout.data, "compile-cache") },
    },
  );
  child.unref();
  closeSync(log);
}

const allReady = (layout: Layout): boolean =>
  findProcess(layout.run, "supervisor") !== undefined &&
  serviceNames.every(
    (name) =>
      findProcess(layout.run, name) !== undefined && (name === "nats" || existsSync(join(layout.run, `${name}.ready`))),
  );

async function waitUntilReady(layout: Layout, progress: Progress): Promise<void> {
  const until = Date.now() + readyWithinMs;
  while (!allReady(layout)) {
    const missing = serviceNames.filter((name) => name !== "nats" && !existsSync(join(layout.run, `${name}.ready`)));
    progress.update(`waiting for ${missing.join(", ")}`);
    const faults = readFaults(layout);
    const words = faults.map((fault) => `\n  ${describeFault(fault)}`).join("");
    if (faults.some(({ staysDown }) => staysDown))
      throw new AppError("precondition", "SERVICE_DOWN", `the cluster is not up:${words}\n  see ${layout.logs}`);
    if (Date.now() > until) {
      throw new AppError(
        "unavailable",
        "NOT_READY",
        `${missing.join(", ")} did not become ready within ${readyWithinMs / 1000} s; see ${layout.logs}${words}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until a task could run: all services are healthy and a host has joined. */
async function waitForHost(layout: Layout, progress: Progress): Promise<void> {
  const { server, key } = JSON.parse(readFileSync(layout.clientFile, "utf8")) as ClientFile;
  const berth = connectBerth({ address: server, credential: key, patienceMs: readyWithinMs });
  const until = Date.now() + readyWithinMs;
  try {
    for (;;) {
      const { ok, services, hosts } = await berth.hosts.getStatus({});
      if (ok && hosts.length > 0) return;
      const unwell = services.filter((service) => !service.ok).map(({ name }) => name);
      progress.update(unwell.length > 0 ? `waiting for ${unwell.join(", ")}` : "waiting for the agent to join");
      if (Date.now() > until)
        throw new AppError(
          "unavailable",
          "NOT_READY",
          `no host joined within ${readyWithinMs / 1000} s; see ${layout.logs}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    berth.close();
  }
}
