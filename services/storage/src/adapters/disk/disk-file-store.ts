import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, opendir, lstat, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError, elementBase, logPath, splitTaskId, taskBase, taskDir } from "@berth/core";
import type { FileEntry } from "@berth/contracts/store";
import { innerFile, innerPath } from "../../domain/inner-path.ts";
import type { FileStore, NewFile, OpenFile, Owner } from "../../ports/file-store.ts";
import { codeOf, explained, openFile, withDirectory } from "./beneath.ts";
import type { OpenDirectory } from "./beneath.ts";
import { logFiles } from "./log-files.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

const entriesAtMost = 10_000;
const pieceBytes = 256 * 1024;

/** Files of tasks beneath one directory, laid out as `libs/core` says. Run by root, what it makes for a task belongs to the task's user. */
export function diskFileStore(root: string): FileStore {
  const mayGive = process.getuid?.() === 0;
  const give = async (handle: FileHandle, { uid, gid }: Owner): Promise<void> => {
    if (mayGive) await handle.chown(uid, gid);
  };
  const giveTo = (owner: Owner) => (handle: FileHandle) => give(handle, owner);
  const absolute = (taskId: string) => join(root, taskDir(taskId));

  /** The directory itself: its parents are ours and may be passed through by anyone, itself is the user's alone. */
  async function makeTaskDir(taskId: string, owner: Owner): Promise<string> {
    const path = absolute(taskId);
    await mkdir(dirname(path), { recursive: true, mode: 0o711 });
    await withDirectory(dirname(path), [path.slice(dirname(path).length + 1)], giveTo(owner), async () => {});
    return path;
  }

  async function write(
    dir: OpenDirectory,
    name: string,
    mode: number,
    owner: Owner,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<number> {
    // Under a name of its own until it is whole. A task may meet it there; it is gone or complete soon after.
    const draft = dir.at(`.berth-${randomBytes(6).toString("hex")}`);
    const handle = await open(draft, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode);
    try {
      let size = 0;
      for await (const piece of content) {
        await handle.writeFile(piece);
        size += piece.length;
      }
      await handle.chmod(mode);
      await give(handle, owner);
      await handle.sync();
      await rename(draft, dir.at(name));
      return size;
    } catch (error) {
      await rm(draft, { force: true });
      if (codeOf(error) !== "EISDIR" && codeOf(error) !== "ENOTEMPTY") throw error;
      throw new AppError("invalid", "NOT_A_FILE", `${name} is a directory`, {
        metadata: { field: "path", rule: "must not name a directory" },
      });
    } finally {
      await handle.close();
    }
  }

  const addTo = (
    taskPath: string,
    { path, executable, owner }: NewFile,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<number> => {
    const parts = innerFile(path);
    return withDirectory(taskPath, parts.slice(0, -1), giveTo(owner), async (dir) => {
      const size = await write(dir, parts.at(-1)!, executable ? 0o700 : 0o600, owner, content);
      await dir.handle.sync();
      return size;
    });
  };

  return {
    getTaskDir: absolute,

    async createTaskDir(taskId, files, owner) {
      for (const file of files) innerFile(file.path, "files.path");
      const path = absolute(taskId);
      await rm(dirname(path), { recursive: true, force: true });
      await makeTaskDir(taskId, owner);
      for (const file of files)
        await addTo(path, { path: file.path, executable: file.executable, owner }, [file.content]);
      for (const each of [path, dirname(path), dirname(dirname(path)), root]) await syncDirectory(each);
    },

    async addFile(taskId, file, content) {
      innerFile(file.path);
      return addTo(await makeTaskDir(taskId, file.owner), file, content);
    },

    async clean(taskId) {
      const { number, index } = splitTaskId(taskId);
      const path =
        index === undefined ? join(root, taskBase(number)) : join(root, elementBase(number, index), `${index}`);
      await rm(path, { recursive: true, force: true });
    },

    async list(taskId, path) {
      const parts = innerPath(path);
      try {
        return await withDirectory(absolute(taskId), parts, undefined, listDirectory);
      } catch (error) {
        // A task that never ran and was given nothing has no directory yet: an empty one, to whoever asks.
        if (parts.length === 0 && error instanceof AppError && error.reason === "FILE_NOT_FOUND")
          return { entries: [], truncated: false };
        throw error;
      }
    },

    async read(taskId, path): Promise<OpenFile> {
      const parts = innerFile(path);
      const { handle, stats } = await withDirectory(absolute(taskId), parts.slice(0, -1), undefined, (dir) =>
        openFile(dir, parts.at(-1)!),
      );
      return { sizeBytes: stats.size, content: pieces(handle) };
    },

    ...logFiles((run, stream) => join(root, logPath(run, stream))),
  };
}

async function listDirectory(dir: OpenDirectory): Promise<{ entries: FileEntry[]; truncated: boolean }> {
  const entries: FileEntry[] = [];
  let truncated = false;
  const opened = await opendir(dir.at()).catch(async (error: unknown) => {
    throw await explained(error, dir.at());
  });
  for await (const entry of opened) {
    if ((truncated = entries.length === entriesAtMost)) break;
    const stats = await lstat(dir.at(entry.name)).catch(() => undefined); // gone meanwhile
    if (stats)
      entries.push({ name: entry.name, sizeBytes: stats.isFile() ? stats.size : 0, directory: stats.isDirectory() });
  }
  return { entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)), truncated };
}

async function* pieces(handle: FileHandle): AsyncGenerator<Buffer> {
  try {
    while (true) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
