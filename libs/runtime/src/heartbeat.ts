import { closeSync, futimesSync, openSync } from "node:fs";

const everyMs = 1_000;

/** Touches a file now and every second, while the event loop has its turn; the returned function ends it. A file that cannot be touched ends nothing. */
export function keepBeating(path: string): () => void {
  let file: number | undefined;
  const beat = (): void => {
    try {
      file ??= openSync(path, "a", 0o600);
      const now = Date.now() / 1000;
      futimesSync(file, now, now);
    } catch {
      // the disk is full or the file is gone: the supervisor sees a heartbeat that stopped
    }
  };
  beat();
  const timer = setInterval(beat, everyMs);
  return () => {
    clearInterval(timer);
    if (file !== undefined) closeSync(file);
  };
}
