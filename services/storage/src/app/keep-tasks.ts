import type { KeepHouseRequest, KeepHouseResponse } from "@berth/contracts/store";
import type { FileStore } from "../ports/file-store.ts";
import type { TaskStore } from "../ports/task-store.ts";

const foldAtOnce = 2_000;
const archiveAtOnce = 200;
const deleteAtOnce = 500;

/**
 * One step of what is due with time. Files go before the record says so: a crash between removes them once more, and nobody is told of files that are gone
 * as if they were there.
 */
export async function keepTasks(
  store: TaskStore,
  files: FileStore,
  { archiveAfterMs, deleteAfterMs }: KeepHouseRequest,
): Promise<KeepHouseResponse> {
  const folded = await store.fold(foldAtOnce);
  const expired = await store.expired(archiveAfterMs, archiveAtOnce);
  for (const taskId of expired) await files.clean(taskId);
  const archived = await store.archive(expired);
  const deleted = await store.deleteRecords(deleteAfterMs, deleteAtOnce);
  return {
    folded: folded.done,
    archived,
    deleted: deleted.done,
    more: folded.more || expired.length === archiveAtOnce || deleted.more,
  };
}
