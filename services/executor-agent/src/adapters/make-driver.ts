import { join } from "node:path";
import { AppError } from "@berth/core";
import type { Resources } from "@berth/core";
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

/** The agent's settings, and how it shows storage who it is. */
export type DriverConfig = AgentConfig & { readonly trust: Trust };

/** The driver that the settings name, and the files it works on. Each is imported only where it is used: dockerode and koffi are not small. */
export async function makeDriver(
  config: DriverConfig,
  positions: LogPositions,
  bootId: string,
  logger: Logger,
  closing: Closing,
): Promise<DriverParts> {
  const root = config.filesDir ?? join(config.dataDir, "files");
  const filesFor = (tasksWriteOutput: boolean): TaskFiles =>
    localFiles({ root, controlDir: join(config.dataDir, "control"), tasksWriteOutput });
  switch (config.driver) {
    case "sim": {
      const [{ simDriver }, { simFiles }] = await Promise.all([
        import("./sim/sim-driver.ts"),
        import("./sim/sim-files.ts"),
      ]);
      return {
        driver: simDriver({
          capacity: capacityOf(config, { cpuMilli: 64_000, memoryBytes: 2 ** 38 }),
          defaultMs: config.simMs,
        }),
        files: simFiles,
        deliver: inPlace,
      };
    }
    case "process": {
      const [{ processDriver }, { findCgroups }] = await Promise.all([
        import("./process/process-driver.ts"),
        import("./process/host-cgroups.ts"),
      ]);
      const driver = processDriver({
        dataDir: config.dataDir,
        runDir: config.runDir ?? config.dataDir,
        bootId,
        env: keeperEnvironment(),
        cgroups: findCgroups(config.dataDir),
        capacity: (machine) => capacityOf(config, machine),
        logger,
      });
      return {
        driver,
        files: filesFor(true),
        deliver: config.filesDir ? inPlace : await makeUpload(config, root, logger, closing),
      };
    }
    case "docker":
      return {
        driver: await makeDocker(config, await logSink(config, closing), positions, logger),
        files: filesFor(false),
        deliver: inPlace,
      };
  }
}

async function makeDocker(
  config: DriverConfig,
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
  config: DriverConfig,
  root: string,
  logger: Logger,
  closing: Closing,
): Promise<AgentDeps["deliver"]> {
  const stop = new AbortController();
  closing.add(() => stop.abort());
  const { uploadOutput } = await import("./files/upload-output.ts");
  return uploadOutput({ root, sink: await logSink(config, closing), logger, signal: stop.signal });
}

async function logSink(config: DriverConfig, closing: Closing): Promise<LogSink> {
  if (config.filesDir) return (await import("./files/file-log-sink.ts")).fileLogSink(config.filesDir);
  if (!config.storage)
    throw new AppError("invalid", "CONFIG_INVALID", "BERTH_FILES_DIR or BERTH_STORAGE must say where output goes");
  return (await import("./grpc/storage-log-sink.ts")).storageLogSink(config.storage, config.trust, closing);
}

/** What Node itself needs to start; the rest of our own environment is no business of a process that outlives us. */
const keeperEnvironment = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  ...(process.env["NODE_COMPILE_CACHE"] ? { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] } : {}),
});

const capacityOf = ({ capacityCpu, capacityMemory }: DriverConfig, machine: Resources): Resources => ({
  cpuMilli: capacityCpu ?? machine.cpuMilli,
  memoryBytes: capacityMemory ?? machine.memoryBytes,
});
