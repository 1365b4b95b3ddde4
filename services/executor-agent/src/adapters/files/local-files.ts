import {
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { AppError, logPath, splitTaskId, taskBase, taskDir } from "@berth/core";
import type { Run } from "@berth/core";
import type { Owner, TaskFiles, TaskPlace } from "../../ports/task-files.ts";
import { codeOf, ownDirectories } from "./own-directories.ts";

export interface LocalFilesOptions {
  /** Root of the files of tasks; the storage's own where it is on this machine. */
  readonly root: string;
  /** Directory of the scripts (mode 0711: tasks pass through it). */
  readonly controlDir: string;
  /** True where tasks write their output files themselves (process driver). The agent then creates the files for the user, in a directory of the agent's own. */
  readonly tasksWriteOutput: boolean;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Directories of tasks as libs/core lays them out. A user owns only what is innermost: the directory of a task, element or array, and the files of its output.
 * All above is the agent's own, so that no user can rename it or put a link in its place.
 */
export function localFiles({ root, controlDir, tasksWriteOutput }: LocalFilesOptions): TaskFiles {
  const isRoot = process.getuid?.() === 0;
  const own = ownDirectories(root);
  /** The last array directory that was made, and its user: elements of one array come together. */
  let lastArray: { readonly path: string; readonly uid: number } | undefined;
  const controls = ownDirectories(controlDir);
  const written = new Set<number>();

  /** Makes a directory for a user in one of the agent's own. */
  function users(path: string, { uid, gid }: Owner): void {
    own.make(dirname(path));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      const found = lstatSync(path);
      if (found.isDirectory() && (!isRoot || found.uid === uid || found.uid === 0)) {
        if (isRoot && (found.uid !== uid || found.gid !== gid)) chownSync(path, uid, gid);
        return;
      }
      // Another user had this task number in an earlier life of the database. The new user must not read those files.
      renameSync(path, join(dirname(path), `.of-another-${randomBytes(6).toString("hex")}`));
      mkdirSync(path, { mode: 0o700 });
    }
    if (isRoot) chownSync(path, uid, gid);
  }

  /** Makes an output file for its user. Replaces a file of another user, left from an earlier life of the database. */
  function output(path: string, { uid, gid }: Owner): void {
    for (;;) {
      try {
        const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
        try {
          return fchownSync(file, uid, gid);
        } finally {
          closeSync(file);
        }
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
        const found = lstatSync(path);
        if (found.isFile() && found.uid === uid) return;
        rmSync(path);
      }
    }
  }

  function prepare(run: Run, owner: Owner): TaskPlace {
    const { number, index } = splitTaskId(run.taskId);
    const place = {
      taskDir: join(root, taskDir(run.taskId)),
      arrayDir: join(root, taskBase(number), "work"),
      stdoutPath: join(root, logPath(run, "stdout")),
      stderrPath: join(root, logPath(run, "stderr")),
    };
    try {
      makeAll(place, owner, index !== undefined);
    } catch (first) {
      // A directory that was checked earlier may be gone: retention or an operator removed it.
      own.forget();
      lastArray = undefined;
      try {
        if (codeOf(first) !== "ENOENT") throw first;
        makeAll(place, owner, index !== undefined);
      } catch (cause) {
        throw asRefusal("TASK_DIR_FAILED", "the task's directory cannot be made", cause);
      }
    }
    return place;
  }

  function makeAll(place: TaskPlace, owner: Owner, isElement: boolean): void {
    users(place.taskDir, owner);
    if (isElement && (lastArray?.path !== place.arrayDir || lastArray.uid !== owner.uid)) {
      users(place.arrayDir, owner);
      lastArray = { path: place.arrayDir, uid: owner.uid };
    }
    if (!tasksWriteOutput || !isRoot) return;
    output(place.stdoutPath, owner);
    output(place.stderrPath, owner);
  }

  function writeScript(specId: number, script: string, owner: Owner): { controlDir: string; path: string } {
    const dir = join(controlDir, String(specId));
    const path = join(dir, "script");
    if (written.has(specId)) return { controlDir: dir, path };
    const draft = `${path}.new`;
    try {
      controls.make(dir);
      rmSync(draft, { force: true });
      const file = openSync(draft, "wx", 0o600);
      try {
        writeFileSync(file, script); // all of it, or it throws
        // Only its user may read and run it.
        fchmodSync(file, 0o500);
        if (isRoot) fchownSync(file, owner.uid, owner.gid);
      } finally {
        closeSync(file);
      }
      renameSync(draft, path);
    } catch (cause) {
      controls.forget();
      rmSync(dir, { recursive: true, force: true }); // a partial draft would keep the disk full
      throw asRefusal("SCRIPT_NOT_WRITTEN", "the script cannot be put on this host", cause);
    }
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

/** Why a run cannot be started here. An agent without free descriptors says so, whatever it was about to make. */
function asRefusal(reason: "TASK_DIR_FAILED" | "SCRIPT_NOT_WRITTEN", what: string, cause: unknown): AppError {
  const known = AppError.from(cause);
  return known.code === "internal" && !(cause instanceof AppError)
    ? new AppError("unavailable", reason, `${what}: ${codeOf(cause)}`, { cause })
    : known;
}
