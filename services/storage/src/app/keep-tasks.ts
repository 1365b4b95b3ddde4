import type { RunHousekeepingRequest, RunHousekeepingResponse } from "@berth/contracts/store";
import type { FileStore } from "../ports/file-store.ts";
import type { TaskStore } from "../ports/task-store.ts";

/** Sizes of one step: each blocks the event loop for some ten milliseconds. */
const foldAtOnce = 1_000;
const archiveAtOnce = 200;
const deleteAtOnce = 200;
/** After so long the step stops removing files; the next step removes the rest. */
const filesMs = 2_000;

type Store = Pick<TaskStore, "fold" | "expired" | "archive" | "deleteRecords">;

/**
 * Folds, archives and deletes what is due, one step per request. A request that comes during a step gets that step's answer. Files are removed before the record is
 * archived: after a crash between the two they are removed again, and no client is shown files that are gone.
 */
export function keepTasks(
  store: Store,
  files: Pick<FileStore, "clean">,
  /** Called for a task whose files cannot be removed. The task stays due; the other tasks of the step are archived. */
  onStuck: (taskId: string, error: unknown) => void = () => {},
): (request: RunHousekeepingRequest) => Promise<RunHousekeepingResponse> {
  let underWay: Promise<RunHousekeepingResponse> | undefined;
  return (request) => {
    underWay ??= step(store, files, onStuck, request).finally(() => (underWay = undefined));
    return underWay;
  };
}

async function step(
  store: Store,
  files: Pick<FileStore, "clean">,
  onStuck: (taskId: string, error: unknown) => void,
  { archiveAfterMs, deleteAfterMs }: RunHousekeepingRequest,
): Promise<RunHousekeepingResponse> {
  const folded = await store.fold(foldAtOnce);
  const expired = await store.expired(archiveAfterMs, archiveAtOnce);
  const cleaned: string[] = [];
  const from = performance.now();
  let tried = 0;
  for (const taskId of expired) {
    tried += 1;
    await files.clean(taskId).then(
      () => cleaned.push(taskId),
      (error: unknown) => onStuck(taskId, error),
    );
    if (performance.now() - from > filesMs) break;
  }
  const archived = cleaned.length > 0 ? await store.archive(cleaned) : 0;
  const deleted = await store.deleteRecords(deleteAfterMs, deleteAtOnce);
  return {
    folded: folded.done,
    archived,
    deleted: deleted.done,
    // Without the first condition a task that cannot be archived would make the caller repeat for ever.
    more: folded.more || (archived > 0 && expired.length === archiveAtOnce) || tried < expired.length || deleted.more,
  };
}
