import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { lstat, mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@berth/core";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/**
 * An open directory of a task. The task's user owns what is beneath, runs beside us and may replace anything at any moment, while we may be root: so each
 * step down is taken from an open directory, and none follows a link. On Linux `/proc/self/fd/N/name` is what openat is elsewhere; without it
 * the path is walked by name, each part checked.
 */
export interface OpenDirectory {
  readonly handle: FileHandle;
  /** A path to this very directory, or to a name in it. */
  at(name?: string): string;
}

export async function openDirectory(path: string): Promise<OpenDirectory> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(async (error: unknown) => {
    throw await explained(error, path);
  });
  const base = process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : path;
  return { handle, at: (name) => (name === undefined ? `${base}/` : join(base, name)) };
}

/** Opens `parts` beneath a directory and runs `fn` with it. `make` is called for each directory that is missing. */
export async function withDirectory<T>(
  root: string,
  parts: readonly string[],
  make: ((dir: FileHandle) => Promise<void>) | undefined,
  fn: (dir: OpenDirectory) => Promise<T>,
): Promise<T> {
  let dir = await openDirectory(root);
  try {
    for (const part of parts) {
      const next = await step(dir, part, make);
      await dir.handle.close();
      dir = next;
    }
    return await fn(dir);
  } finally {
    await dir.handle.close();
  }
}

async function step(
  dir: OpenDirectory,
  part: string,
  make: ((dir: FileHandle) => Promise<void>) | undefined,
): Promise<OpenDirectory> {
  if (!make) return openDirectory(dir.at(part));
  const made = await mkdir(dir.at(part), { mode: 0o700 }).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    },
  );
  const next = await openDirectory(dir.at(part));
  if (made) await make(next.handle);
  return next;
}

/** Opens a file in a directory without following a link, and without waiting for whoever is at the other end of a pipe. */
export async function openFile(dir: OpenDirectory, name: string): Promise<{ handle: FileHandle; stats: Stats }> {
  const handle = await open(dir.at(name), O_RDONLY | O_NOFOLLOW | constants.O_NONBLOCK).catch(
    async (error: unknown) => {
      throw await explained(error, dir.at(name));
    },
  );
  const stats = await handle.stat();
  if (stats.isFile()) return { handle, stats };
  await handle.close();
  throw new AppError("invalid", "NOT_A_FILE", `${name} is not a regular file`, {
    metadata: { field: "path", rule: "must name a regular file" },
  });
}

/** A link is refused as leading out, wherever it points; what is missing is not found; the rest is the system's. */
export async function explained(error: unknown, path: string): Promise<unknown> {
  const code = codeOf(error);
  const isLink =
    (code === "ELOOP" || code === "ENOTDIR" || code === "EMLINK") &&
    (await lstat(path).then(
      (found) => found.isSymbolicLink(),
      () => false,
    ));
  if (isLink) {
    const rule = "must not lead through a symbolic link";
    return new AppError("invalid", "PATH_OUTSIDE", `path: ${rule}`, { metadata: { field: "path", rule } });
  }
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ENXIO")
    return new AppError("not-found", "FILE_NOT_FOUND", "there is no such file or directory", { cause: error });
  return error;
}

export const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
