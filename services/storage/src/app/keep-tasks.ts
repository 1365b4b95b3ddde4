import type { KeepHouseRequest, KeepHouseResponse } from "@berth/contracts/store";
import type { FileStore } from "../ports/file-store.ts";
import type { TaskStore } from "../ports/task-store.ts";

/** Some ten milliseconds of the event loop each. */
const foldAtOnce = 1_000;
const archiveAtOnce = 200;
const deleteAtOnce = 200;
/** Removing files takes as long as there are many; then the rest of a step waits for the next. */
const filesMs = 2_000;

type Store = Pick<TaskStore, "fold" | "expired" | "archive" | "deleteRecords">;

/**
 * Does steps of what is due with time, one at a time: who asks while one is under way gets its answer. Files go before the record says so: a crash between removes
 * them once more, and nobody is told of files that are gone as if they were there.
 */
export function keepTasks(
  store: Store,
  files: Pick<FileStore, "clean">,
  /** Told of a task whose files cannot be removed now: it is tried again, and the others do not wait for it. */
  onStuck: (taskId: string, error: unknown) => void = () => {},
): (request: KeepHouseRequest) => Promise<KeepHouseResponse> {
  let underWay: Promise<KeepHouseResponse> | undefined;
  return (request) => {
    underWay ??= step(store, files, onStuck, request).finally(() => (underWay = undefined));
    return underWay;
  };
}

async function step(
  store: Store,
  files: Pick<FileStore, "clean">,
  onStuck: (taskId: string, error: unknown) => void,
  { archiveAfterMs, deleteAfterMs }: KeepHouseRequest,
): Promise<KeepHouseResponse> {
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
    // What cannot be archived would be asked for again and again.
    more: folded.more || (archived > 0 && expired.length === archiveAtOnce) || tried < expired.length || deleted.more,
  };
}
