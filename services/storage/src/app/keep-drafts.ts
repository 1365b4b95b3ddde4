import { sleep } from "@berth/runtime";
import type { FileStore } from "../ports/file-store.ts";

interface Log {
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

const everyMs = 10 * 60_000;
/** A draft that was not written to for so long is abandoned. An upload writes to its draft with each piece that the client sends. */
const silentMs = 60 * 60_000;

/** Removes drafts of files whose writer died, at the start and then every ten minutes, as long as the service lives. */
export async function keepDrafts(
  files: Pick<FileStore, "removeOldDrafts">,
  logger: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await files
      .removeOldDrafts(new Date(Date.now() - silentMs))
      .catch((error: unknown) => logger.warn("drafts of files could not be removed", { error }));
    await sleep(everyMs, signal).catch(() => {}); // aborted: the loop ends
  }
}
