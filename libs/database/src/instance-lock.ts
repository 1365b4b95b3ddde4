import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "@berth/core";
import { keepPrivate } from "./sqlite.ts";

/** Held as long as its process lives, or until it is released. */
export interface InstanceLock {
  /** The file that is locked. */
  readonly path: string;
  release(): void;
}

/** Keeps the locked databases reachable: the garbage collector would close an unreachable one, which releases the lock. */
const held = new Set<DatabaseSync>();

/**
 * Makes this process the only one that uses `dir`, by holding a transaction on `lock.db` in it. The kernel drops the lock when the process ends, however it
 * ends. (An exclusive lock on the database itself would also block backups.) Throws `precondition` STORAGE_LOCKED immediately if another process holds it,
 * naming its pid if known.
 */
export function singleInstanceLock(dir: string): InstanceLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, "lock.db");
  // In a file of its own, because another process cannot read a database that is locked exclusively.
  const pidPath = join(dir, "lock.pid");
  keepPrivate(path);
  const holder = new DatabaseSync(path, { timeout: 0 });
  try {
    holder.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    holder.close();
    if (!isBusy(cause)) throw cause;
    const pid = readPid(pidPath);
    throw new AppError(
      "precondition",
      "STORAGE_LOCKED",
      `${path} is held by another process${pid ? ` (pid ${pid})` : ""}; an embedded store has exactly one`,
      { cause, metadata: { path, ...(pid ? { pid } : {}) } },
    );
  }
  held.add(holder);
  writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
  return {
    path,
    release() {
      if (!holder.isOpen) return;
      rmSync(pidPath, { force: true });
      holder.exec("ROLLBACK");
      holder.close();
      held.delete(holder);
    },
  };
}

/** SQLITE_BUSY (5) and SQLITE_LOCKED (6), with or without an extended code in the upper bits. */
function isBusy(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === 5 || code === 6;
}

function readPid(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
