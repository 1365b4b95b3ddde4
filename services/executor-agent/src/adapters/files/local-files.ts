import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AppError, logPath, splitTaskId, taskBase, taskDir } from "@berth/core";
import type { Run } from "@berth/core";
import type { Owner, TaskFiles, TaskPlace } from "../../ports/task-files.ts";

export interface LocalFilesOptions {
  /** Root of the files of tasks; the storage's own where it is on this machine. */
  readonly root: string;
  /** Where scripts are put; tasks pass through it. */
  readonly controlDir: string;
  /**
   * base: only the task's base directory is made, and given to its user, who makes the rest (the process driver's keeper does, without privileges: nothing
   * privileged may work in a directory that a user can rename). all: everything is made, and only the task's own directory is its user's.
   */
  readonly makes: "base" | "all";
}

/** Most directories that are remembered as made. */
const maxKnown = 20_000;

/** Directories of tasks as libs/core lays them out. Every directory above a user's is the agent's own, so that no link can be put in its way. */
export function localFiles({ root, controlDir, makes }: LocalFilesOptions): TaskFiles {
  const isRoot = process.getuid?.() === 0;
  const known = new Set<string>();
  const written = new Set<number>();

  /** Makes a directory of our own, and its parents. */
  function own(path: string): void {
    if (known.has(path)) return;
    mkdirSync(path, { recursive: true, mode: 0o711 });
    remember(path);
  }

  /** Makes a directory of a user's, in one of our own. */
  function users(path: string, { uid, gid }: Owner): void {
    if (known.has(path)) return;
    own(dirname(path));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const found = lstatSync(path);
    if (!found.isDirectory()) throw new AppError("internal", "TASK_DIR_UNSAFE", `${path} is not a directory`);
    if (isRoot && (found.uid !== uid || found.gid !== gid)) chownSync(path, uid, gid);
    remember(path);
  }

  function remember(path: string): void {
    if (known.size >= maxKnown) known.clear();
    known.add(path);
  }

  function prepare(run: Run, owner: Owner): TaskPlace {
    const { number, index } = splitTaskId(run.taskId);
    const base = join(root, taskBase(number));
    const place = {
      taskDir: join(root, taskDir(run.taskId)),
      arrayDir: join(base, "work"),
      stdoutPath: join(root, logPath(run, "stdout")),
      stderrPath: join(root, logPath(run, "stderr")),
    };
    try {
      if (makes === "base") users(base, owner);
      else {
        users(place.taskDir, owner);
        if (index !== undefined) users(place.arrayDir, owner);
        own(dirname(place.stdoutPath));
      }
    } catch (cause) {
      known.clear();
      if (cause instanceof AppError) throw cause;
      throw new AppError("unavailable", "TASK_DIR_FAILED", `the task's directory cannot be made: ${codeOf(cause)}`, {
        cause,
      });
    }
    return place;
  }

  function writeScript(specId: number, script: string, owner: Owner): { controlDir: string; path: string } {
    const dir = join(controlDir, String(specId));
    const path = join(dir, "script");
    if (written.has(specId)) return { controlDir: dir, path };
    mkdirSync(dir, { recursive: true, mode: 0o711 });
    chmodSync(controlDir, 0o711);
    const draft = `${path}.new`;
    rmSync(draft, { force: true });
    const file = openSync(draft, "wx", 0o600);
    try {
      writeSync(file, script);
      // Read and run by its user alone; changed by nobody.
      fchmodSync(file, 0o500);
      if (isRoot) fchownSync(file, owner.uid, owner.gid);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
    written.add(specId);
    return { controlDir: dir, path };
  }

  function dropScript(specId: number): void {
    if (!written.delete(specId)) return;
    rmSync(join(controlDir, String(specId)), { recursive: true, force: true });
  }

  function keepScripts(kept: ReadonlySet<number>): void {
    mkdirSync(controlDir, { recursive: true, mode: 0o711 });
    for (const name of readdirSync(controlDir))
      if (!kept.has(Number(name))) rmSync(join(controlDir, name), { recursive: true, force: true });
  }

  return { prepare, writeScript, dropScript, keepScripts };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
