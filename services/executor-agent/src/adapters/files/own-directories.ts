import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "@berth/core";

/** Mode of these directories: other users may pass through, but not list or rename. */
const passThrough = 0o711;
/** Most paths kept in the set of checked directories. */
const maxKnown = 20_000;

/**
 * Directories beneath one root that belong to the agent. Each path is checked level by level from the root: no user can exchange a name in a directory of the agent, so a
 * checked path stays what it was.
 */
export interface OwnDirectories {
  /** Makes `path` and what is missing above it. Takes back a directory that an earlier Berth gave to a user. Throws `internal` TASK_DIR_UNSAFE where something else has that name. */
  make(path: string): void;
  /** Checks each path again from now on. Call it after a failure: a directory may have been removed. */
  forget(): void;
}

export function ownDirectories(root: string): OwnDirectories {
  const self = process.getuid?.();
  const known = new Set<string>();
  /** Owner of the root: storage's user, where that is another than the agent's. */
  let rootUid: number | undefined;

  function make(path: string): void {
    if (known.has(path)) return;
    if (path === root) {
      mkdirSync(path, { recursive: true, mode: passThrough });
      rootUid = lstatSync(path).uid;
    } else {
      make(dirname(path));
      level(path);
    }
    if (known.size >= maxKnown) known.clear();
    known.add(path);
  }

  function level(path: string): void {
    try {
      mkdirSync(path, { mode: passThrough });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const found = lstatSync(path);
    if (!found.isDirectory()) throw unsafe(path, "is not a directory");
    if (found.uid !== self && found.uid !== rootUid) {
      if (self !== 0) throw unsafe(path, `belongs to uid ${found.uid}`);
      chownSync(path, 0, 0);
    }
    if ((found.mode & 0o777) !== passThrough) chmodSync(path, passThrough);
  }

  return { make, forget: () => known.clear() };
}

export const unsafe = (path: string, fault: string): AppError =>
  new AppError("internal", "TASK_DIR_UNSAFE", `${path} ${fault}`, { metadata: { path } });

export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
