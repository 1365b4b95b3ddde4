import { closeSync, futimesSync, openSync } from "node:fs";

const everyMs = 1_000;

/** Touches a file now and every second, as long as the event loop runs. Call the result to stop. Errors are ignored. */
export function keepBeating(path: string): () => void {
  let file: number | undefined;
  const beat = (): void => {
    try {
      file ??= openSync(path, "a", 0o600);
      const now = Date.now() / 1000;
      futimesSync(file, now, now);
    } catch {
      // The disk is full or the file is missing. The supervisor notices that the heartbeat stopped.
    }
  };
  beat();
  const timer = setInterval(beat, everyMs);
  return () => {
    clearInterval(timer);
    if (file !== undefined) closeSync(file);
  };
}
