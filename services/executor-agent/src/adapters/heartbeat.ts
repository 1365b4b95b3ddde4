import { closeSync, futimesSync, openSync } from "node:fs";

const everyMs = 5_000;

/** Touches a file now and every five seconds, until what it returns is called. A file that cannot be touched is no reason to end. */
export function keepBeating(path: string): () => void {
  let file: number | undefined;
  const beat = (): void => {
    try {
      file ??= openSync(path, "a", 0o600);
      const now = Date.now() / 1000;
      futimesSync(file, now, now);
    } catch {
      // full or gone; whoever looks at it sees that
    }
  };
  beat();
  const timer = setInterval(beat, everyMs);
  return () => {
    clearInterval(timer);
    if (file !== undefined) closeSync(file);
  };
}
