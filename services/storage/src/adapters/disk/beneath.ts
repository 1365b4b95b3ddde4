import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { lstat, mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { AppError } from "@berth/core";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** A name as the disk has it: any bytes but NUL and `/`. */
export type DiskName = string | Uint8Array;

/**
 * An open directory. A task's user owns what is beneath the task's directory, runs beside us and may replace anything at any moment, while we may be root: so each
 * step down is taken from an open directory, and none follows a link. On Linux `/proc/self/fd/N/name` is what openat is elsewhere; without it
 * the path is walked by name, each part checked.
 */
export interface OpenDirectory {
  readonly handle: FileHandle;
  readonly device: number;
  /** A path to this very directory, or to a name in it. */
  at(name?: DiskName): Buffer;
}

/** One step down: a name, and who may own what is there. */
export interface Step {
  readonly name: DiskName;
  /** Owners of which one must be the directory's; undefined: any. */
  readonly uids: readonly number[] | undefined;
  /** Makes the directory's owner and mode right, where it was missing and is made; undefined: it is not made. */
  readonly make?: (dir: FileHandle) => Promise<void>;
}

async function openDirectory(path: string | Buffer, flags: number): Promise<OpenDirectory> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | flags).catch(async (error: unknown) => {
    throw await explained(error, path);
  });
  const { dev: device } = await handle.stat();
  const base = process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : String(path);
  const at = (name: DiskName = "") => Buffer.concat([Buffer.from(`${base}/`), Buffer.from(name)]);
  return { handle, device, at };
}

/** Walks down from the store's root, one open directory per level, and runs `fn` with the last one. Rejects with `invalid` PATH_OUTSIDE at a link, at a mount and at what belongs to another. */
export async function beneath<T>(
  root: string,
  steps: readonly Step[],
  fn: (dir: OpenDirectory) => Promise<T>,
): Promise<T> {
  let dir = await openDirectory(root, 0);
  try {
    for (const step of steps) {
      const next = await down(dir, step);
      await dir.handle.close();
      dir = next;
    }
    return await fn(dir);
  } finally {
    await dir.handle.close();
  }
}

async function down(dir: OpenDirectory, { name, uids, make }: Step): Promise<OpenDirectory> {
  const made = make !== undefined && (await makeDirectory(dir.at(name)));
  const next = await openBeneath(dir, name);
  try {
    let { uid } = await next.handle.stat();
    // One of our own where it is not to be: whoever made it died before it was given to its user.
    if (make && (made || (uid === process.getuid?.() && uids?.includes(uid) === false))) {
      await make(next.handle);
      ({ uid } = await next.handle.stat());
    }
    if (uids && !uids.includes(uid)) throw outside("must not lead to what another user owns");
    return next;
  } catch (error) {
    await next.handle.close();
    throw error;
  }
}

/** Opens a directory in a directory: no link, and of the same file system. */
export async function openBeneath(dir: OpenDirectory, name: DiskName): Promise<OpenDirectory> {
  const next = await openDirectory(dir.at(name), O_NOFOLLOW);
  if (next.device === dir.device) return next;
  await next.handle.close();
  throw outside("must not lead into another file system");
}

const makeDirectory = (path: Buffer): Promise<boolean> =>
  mkdir(path, { mode: 0o700 }).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === "EEXIST") return false;
      throw noRoom(error);
    },
  );

/** Opens a regular file in a directory without following a link, and without waiting for a pipe's other end. */
export async function openFile(
  dir: OpenDirectory,
  name: DiskName,
  uids: readonly number[] | undefined,
  flags = 0,
): Promise<{ handle: FileHandle; stats: Stats }> {
  const path = dir.at(name);
  const handle = await open(path, flags | O_NOFOLLOW | O_NONBLOCK, 0o600).catch(async (error: unknown) => {
    throw await explained(error, path);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile())
      throw new AppError("invalid", "NOT_A_FILE", "path: must name a regular file", {
        metadata: { field: "path", rule: "must name a regular file" },
      });
    if (uids && !uids.includes(stats.uid)) throw outside("must not lead to what another user owns");
    return { handle, stats };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A link is refused as leading out, wherever it points; what is missing is not found; the rest is the system's. */
export async function explained(error: unknown, path: string | Buffer): Promise<unknown> {
  const code = codeOf(error);
  const isLink =
    (code === "ELOOP" || code === "ENOTDIR" || code === "EMLINK") &&
    (await lstat(path).then(
      (found) => found.isSymbolicLink(),
      () => false,
    ));
  if (isLink) return outside("must not lead through a symbolic link");
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ENXIO")
    return new AppError("not-found", "FILE_NOT_FOUND", "there is no such file or directory", { cause: error });
  return noRoom(error);
}

const roomCodes: readonly string[] = ["ENOSPC", "EDQUOT"];

/** A full disk, or one without inodes, is not the caller's fault and passes. */
export const noRoom = (error: unknown): unknown =>
  roomCodes.includes(codeOf(error))
    ? new AppError("unavailable", "STORAGE_FULL", "there is no room left where the cluster keeps files", {
        cause: error,
      })
    : error;

const outside = (rule: string): AppError =>
  new AppError("invalid", "PATH_OUTSIDE", `path: ${rule}`, { metadata: { field: "path", rule } });

export const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
