import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** The key that signs tokens: made once and kept in a file that only its owner can read. */
export function tokenKeyIn(path: string, make: () => string): string {
  const found = readIfThere(path);
  if (found !== undefined) return found;
  const pem = make();
  // Whole or not at all, and never over a key that is there: a half-written one would lock everybody out at the next start.
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, pem, { mode: 0o600, flush: true });
  try {
    linkSync(part, path);
    return pem;
  } catch (error) {
    const other = readIfThere(path);
    if (other === undefined) throw error;
    return other;
  } finally {
    rmSync(part, { force: true });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
