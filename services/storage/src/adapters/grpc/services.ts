import type { Logger } from "@berth/runtime";
import type { FileStore } from "../../ports/file-store.ts";
import type { TaskStore } from "../../ports/task-store.ts";
import type { storeMetrics } from "../metrics/store-metrics.ts";
import { fileStoreService } from "./file-store-service.ts";
import { ownRunsOnly } from "./own-runs.ts";
import { taskStoreService } from "./task-store-service.ts";

/** What answers storage's calls, over a store that is open. */
export function servicesOf(
  store: TaskStore & { lastRevision(): number },
  files: FileStore,
  metrics: ReturnType<typeof storeMetrics>,
  logger: Pick<Logger, "warn">,
  /** Whether agents show certificates: then each is held to its own host's runs. */
  { knowsAgents = false }: { readonly knowsAgents?: boolean } = {},
) {
  const watched = metrics.watched(store, (message) => logger.warn("refused a plan of an older term", { message }));
  const output = fileStoreService({ store, files, now: Date.now });
  return {
    tasks: taskStoreService(watched, files, (task, error) =>
      logger.warn("files of an archived task cannot be removed yet", { task, error }),
    ),
    files: knowsAgents ? ownRunsOnly(output, (taskId) => store.get({ taskId, user: "" })) : output,
  };
}
