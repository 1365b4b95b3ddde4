import { mkdirSync } from "node:fs";
import { FileStoreServiceService, TaskStoreServiceService } from "@berth/contracts/store";
import { lateService, openLate, problemService, runGrpcService } from "@berth/runtime";
import { diskFileStore } from "./adapters/disk/disk-file-store.ts";
import { followRevokedHosts } from "./adapters/grpc/revoked-hosts.ts";
import { servicesOf } from "./adapters/grpc/services.ts";
import { storeMetrics } from "./adapters/metrics/store-metrics.ts";
import { keepDrafts } from "./app/keep-drafts.ts";
import { runHousekeeping } from "./app/housekeeping.ts";
import { readStorageConfig } from "./config.ts";
import { openStore } from "./open-store.ts";

await runGrpcService(
  "storage",
  readStorageConfig,
  async ({ config, logger, trust, problems, closing, signal, nowReady }) => {
    process.umask(0o066); // files 0600; directories may be made 0711, so that tasks can pass through
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    mkdirSync(config.filesDir, { recursive: true, mode: 0o711 });
    const metrics = storeMetrics();
    const files = diskFileStore(config.filesDir, {
      maxFileBytes: config.maxFileBytes,
      onUnremovable: (path, error) =>
        logger.error("files of a task cannot be removed; an operator may, where they were put aside", { path, error }),
    });
    if (trust.identity) trust.refuseRevoked(followRevokedHosts(config.auth, trust, { closing, logger }));
    let services: ReturnType<typeof servicesOf> | undefined;
    const { running } = await openLate({
      open: () => openStore(config, { logger, metrics, closing }),
      opened(store) {
        services = servicesOf(store, files, metrics, logger, { knowsAgents: trust.identity !== undefined });
        nowReady();
        return Promise.all([runHousekeeping(store, logger, signal), keepDrafts(files, logger, signal)]);
      },
      logger,
      problems,
      signal,
    });
    return {
      services: [
        lateService(TaskStoreServiceService, () => services?.tasks),
        lateService(FileStoreServiceService, () => services?.files),
        problemService(problems),
      ],
      notReadyYet: true,
      run: () => running,
    };
  },
);
