import { mkdirSync } from "node:fs";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import {
  bindService,
  createLogger,
  requireInternal,
  runService,
  serveGrpc,
  serveMetrics,
  startTelemetry,
} from "@berth/runtime";
import { diskFileStore } from "./adapters/disk/disk-file-store.ts";
import { fileStoreService } from "./adapters/grpc/file-store-service.ts";
import { taskStoreService } from "./adapters/grpc/task-store-service.ts";
import { storeMetrics } from "./adapters/metrics/store-metrics.ts";
import { keepDrafts } from "./app/keep-drafts.ts";
import { keepHouse } from "./app/keep-house.ts";
import { readStorageConfig } from "./config.ts";
import { openStore } from "./open-store.ts";

await runService({
  name: "storage",
  async start({ closing, signal }) {
    process.umask(0o066); // tasks pass through some directories, whose mode says so; nobody else reads a file
    const config = readStorageConfig(process.env);
    const logger = createLogger({ service: "storage", level: config.logLevel });
    await startTelemetry({ service: "storage", otlpUrl: config.otlpUrl, closing });

    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    mkdirSync(config.filesDir, { recursive: true, mode: 0o711 });
    const metrics = storeMetrics();
    const store = await openStore(config, { logger, metrics, closing });
    const files = diskFileStore(config.filesDir, {
      maxFileBytes: config.maxFileBytes,
      onUnremovable: (path, error) =>
        logger.error("files of a task cannot be removed; an operator may, where they were put aside", { path, error }),
    });

    const watched = metrics.watched(store, (message) => logger.warn("refused a plan of an older term", { message }));

    const server = await serveGrpc({
      address: config.listen,
      services: [
        bindService(
          TaskStoreServiceService,
          taskStoreService(watched, files, (task, error) =>
            logger.warn("files of an archived task cannot be removed yet", { task, error }),
          ),
        ),
        bindService(FileStoreServiceService, fileStoreService({ store, files, now: Date.now })),
      ],
      admit: requireInternal(config.clusterSecret),
      logger,
      closing,
    });
    const running = Promise.all([keepHouse(store, logger, signal), keepDrafts(files, logger, signal)]);
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
