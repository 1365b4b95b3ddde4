import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** The key that signs tokens. It is made at the first start, in a file that only its owner can read. */
export function tokenKeyIn(path: string, make: () => string): string {
  const found = readIfThere(path);
  if (found !== undefined) return found;
  const pem = make();
  // A link to a complete draft: it never replaces a key, and a half-written key would refuse all users after the next start.
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
