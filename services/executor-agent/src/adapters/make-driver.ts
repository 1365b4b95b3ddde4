import { join } from "node:path";
import { AppError } from "@berth/core";
import type { Resources } from "@berth/core";
import { loadDriver } from "@berth/plugins";
import type { Driver, LogSink } from "@berth/plugins";
import type { Closing, Logger, Trust } from "@berth/runtime";
import type { AgentDeps } from "../app/agent-deps.ts";
import type { AgentConfig } from "../config.ts";
import type { LogPositions } from "../ports/journal.ts";
import type { TaskFiles } from "../ports/task-files.ts";
import { localFiles } from "./files/local-files.ts";

export interface DriverParts {
  readonly driver: Driver;
  readonly files: TaskFiles;
  readonly deliver: AgentDeps["deliver"];
}

const inPlace: AgentDeps["deliver"] = (events) => events;

/** What a driver is made from. */
export interface DriverSetting {
  readonly config: AgentConfig;
  /** How the agent shows storage who it is. */
  readonly trust: Trust;
  readonly positions: LogPositions;
  readonly bootId: string;
  readonly logger: Logger;
  readonly closing: Closing;
}

/** The driver that the settings name, and the files it works on. Rejects with AppError `invalid` where they name none, or one that is broken. */
export async function makeDriver({
  config,
  trust,
  positions,
  bootId,
  logger,
  closing,
}: DriverSetting): Promise<DriverParts> {
  const { clusterId, hostId, dataDir, capacityCpu, capacityMemory } = config;
  const sink = (): Promise<LogSink> => logSink(config, trust, closing);
  // Each is imported only where it is used: dockerode and koffi are not small.
  const builtIn = {
    docker: async () => makeDocker(config, await sink(), positions, logger),
    process: () => makeProcess(config, bootId, logger),
    sim: async () =>
      (await import("./sim/sim-driver.ts")).simDriver({
        capacity: capacityOf(config, { cpuMilli: 64_000, memoryBytes: 2 ** 38 }),
        defaultMs: config.simMs,
      }),
  };
  const driver = await loadDriver(config.driver, builtIn, {
    config: config.driverConfig,
    logger,
    clusterId,
    hostId,
    bootId,
    dataDir,
    capacity: { cpuMilli: capacityCpu, memoryBytes: capacityMemory },
    logSink: sink,
  });
  if (driver.outputBy === "none") {
    const { simFiles } = await import("./sim/sim-files.ts");
    return { driver, files: simFiles, deliver: inPlace };
  }
  const tasksWriteOutput = driver.outputBy !== "driver";
  const root = config.filesDir ?? join(dataDir, "files");
  const files = localFiles({ root, controlDir: join(dataDir, "control"), tasksWriteOutput });
  const isElsewhere = tasksWriteOutput && config.filesDir === undefined;
  return { driver, files, deliver: isElsewhere ? await makeUpload(root, await sink(), logger, closing) : inPlace };
}

async function makeProcess(config: AgentConfig, bootId: string, logger: Logger): Promise<Driver> {
  const [{ processDriver }, { findCgroups }] = await Promise.all([
    import("./process/process-driver.ts"),
    import("./process/host-cgroups.ts"),
  ]);
  return processDriver({
    dataDir: config.dataDir,
    runDir: config.runDir ?? config.dataDir,
    bootId,
    env: keeperEnvironment(),
    cgroups: findCgroups(config.dataDir),
    capacity: (machine) => capacityOf(config, machine),
    logger,
  });
}

async function makeDocker(
  config: AgentConfig,
  sink: LogSink,
  positions: LogPositions,
  logger: Logger,
): Promise<Driver> {
  const [{ dockerDriver }, { findEngine }] = await Promise.all([
    import("./docker/docker-driver.ts"),
    import("./docker/engine.ts"),
  ]);
  const engine = await findEngine(
    { ...process.env, ...(config.engine ? { DOCKER_HOST: config.engine } : {}) },
    process.env["HOME"] ?? "/",
  );
  if (!engine) throw new AppError("unavailable", "NO_ENGINE", "no Docker engine answers");
  return dockerDriver({
    engine,
    clusterId: config.clusterId,
    sink,
    positions,
    logger,
    defaultImage: config.defaultImage,
  });
}

async function makeUpload(
  root: string,
  sink: LogSink,
  logger: Logger,
  closing: Closing,
): Promise<AgentDeps["deliver"]> {
  const stop = new AbortController();
  closing.add(() => stop.abort());
  const { uploadOutput } = await import("./files/upload-output.ts");
  return uploadOutput({ root, sink, logger, signal: stop.signal });
}

async function logSink(config: AgentConfig, trust: Trust, closing: Closing): Promise<LogSink> {
  if (config.filesDir) return (await import("./files/file-log-sink.ts")).fileLogSink(config.filesDir);
  if (!config.storage)
    throw new AppError("invalid", "CONFIG_INVALID", "BERTH_FILES_DIR or BERTH_STORAGE must say where output goes");
  return (await import("./grpc/storage-log-sink.ts")).storageLogSink(config.storage, trust, closing);
}

/** The variables that Node needs to start. A keeper outlives the agent, so it gets nothing else of the agent's environment. */
const keeperEnvironment = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  ...(process.env["NODE_COMPILE_CACHE"] ? { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] } : {}),
});

const capacityOf = ({ capacityCpu, capacityMemory }: AgentConfig, machine: Resources): Resources => ({
  cpuMilli: capacityCpu ?? machine.cpuMilli,
  memoryBytes: capacityMemory ?? machine.memoryBytes,
});
