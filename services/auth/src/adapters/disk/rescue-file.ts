import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Whether the data directory has a rescue file of that name, which proves that the caller can write there. Removes the file, so it proves this only once. */
export function takeRescueFile(dataDir: string, name: string): boolean {
  if (!/^rescue-[0-9a-f]{32}$/.test(name)) return false;
  const path = join(dataDir, name);
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  rmSync(path);
  return true;
}
