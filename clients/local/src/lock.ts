import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@berth/core";
import type { Layout } from "./layout.ts";

const patienceMs = 60_000;

/** Locks a data directory for one `berth up` or `down` at a time. Takes over the lock of a process that has ended. */
export async function takeLock(layout: Layout): Promise<() => void> {
  const path = join(layout.run, "up.lock");
  const draft = `${path}.${process.pid}`;
  const until = Date.now() + patienceMs;
  // A hard link to a finished draft: the lock file never exists without its owner's pid.
  writeFileSync(draft, String(process.pid), { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(draft, path);
        return () => rmSync(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const owner = lockOwner(path);
      if (owner === undefined) continue; // its owner released it between the two calls
      if (!processExists(owner)) removeLockOf(path, owner);
      else if (Date.now() > until)
        throw new AppError(
          "precondition",
          "CLUSTER_BUSY",
          `another berth up or down (pid ${owner}) is at work on ${layout.data}`,
        );
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function lockOwner(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Removes the lock of a process that has ended, unless another process holds it by now. */
function removeLockOf(path: string, owner: number): void {
  if (lockOwner(path) === owner) rmSync(path, { force: true });
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
