import { mkdirSync } from "node:fs";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import {
  createLogger,
  lateService,
  openLate,
  problemService,
  Problems,
  openTrust,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
} from "@berth/runtime";
import type { GrpcServer } from "@berth/runtime";
import { diskFileStore } from "./adapters/disk/disk-file-store.ts";
import { servicesOf } from "./adapters/grpc/services.ts";
import { storeMetrics } from "./adapters/metrics/store-metrics.ts";
import { keepDrafts } from "./app/keep-drafts.ts";
import { keepHouse } from "./app/keep-house.ts";
import { readStorageConfig } from "./config.ts";
import { openStore } from "./open-store.ts";

await runService({
  name: "storage",
  async start({ closing, signal }) {
    process.umask(0o066); // files 0600; directories may be made 0711, so that tasks can pass through
    const config = readStorageConfig(process.env);
    const logger = createLogger({ service: "storage", level: config.logLevel });
    await startTelemetry({ service: "storage", otlpUrl: config.otlpUrl, closing });

    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    mkdirSync(config.filesDir, { recursive: true, mode: 0o711 });
    const metrics = storeMetrics();
    const files = diskFileStore(config.filesDir, {
      maxFileBytes: config.maxFileBytes,
      onUnremovable: (path, error) =>
        logger.error("files of a task cannot be removed; an operator may, where they were put aside", { path, error }),
    });
    const trust = openTrust(config, { role: "storage", closing, logger });
    const problems = new Problems();
    /** What there is of them: the database may come first, or the server. */
    const late: { services?: ReturnType<typeof servicesOf>; server?: GrpcServer } = {};
    const { running } = await openLate({
      open: () => openStore(config, { logger, metrics, closing }),
      opened(store) {
        late.services = servicesOf(store, files, metrics, logger, { knowsAgents: trust.identity !== undefined });
        late.server?.setServing(true);
        return Promise.all([keepHouse(store, logger, signal), keepDrafts(files, logger, signal)]);
      },
      logger,
      problems,
      signal,
    });
    const server = await serveGrpc({
      address: config.listen,
      services: [
        lateService(TaskStoreServiceService, () => late.services?.tasks),
        lateService(FileStoreServiceService, () => late.services?.files),
        problemService(problems),
      ],
      ...trust.door,
      logger,
      closing,
      notReadyYet: true,
    });
    late.server = server;
    if (late.services) server.setServing(true);
    if (config.metricsAddress === undefined) return { addresses: { grpc: server.address }, running };
    const scraped = await serveMetrics({
      address: config.metricsAddress,
      closing,
      logger,
      healthy: () => server.serving,
    });
    return { addresses: { grpc: server.address, metrics: scraped }, running };
  },
});
