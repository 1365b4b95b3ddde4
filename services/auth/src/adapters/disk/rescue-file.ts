import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Whether a rescue file of that name is in the data directory, which proves that somebody could write there. Removes it, so it proves this once. */
export function takeRescueFile(dataDir: string, name: string): boolean {
  if (!/^rescue-[0-9a-f]{32}$/.test(name)) return false;
  const path = join(dataDir, name);
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  rmSync(path);
  return true;
}
