import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { opendir, lstat, rename } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { AppError, elementBase, splitTaskId, taskBase, taskDir } from "@berth/core";
import type { FileEntry } from "@berth/contracts/store";
import { innerFile, innerPath } from "../../domain/inner-path.ts";
import type { FileStore, NewFile, OpenFile, Owner } from "../../ports/file-store.ts";
import { beneath, explained, openFile } from "./beneath.ts";
import type { OpenDirectory, Step } from "./beneath.ts";
import { fileDrafts } from "./file-drafts.ts";
import { shownName } from "./file-names.ts";
import { logFiles } from "./log-files.ts";
import { removeTree } from "./remove-tree.ts";

const entriesAtMost = 10_000;
const looksAtOnce = 64;
const pieceBytes = 256 * 1024;
/** Directory for trees that cannot be removed, such as one with a mount. Retention goes on without them. */
const unremovable = "unremovable";

export interface DiskFileStoreOptions {
  /** Size of the largest file that is added. */
  readonly maxFileBytes?: number;
  /** Called with the path to which such a tree was moved. */
  readonly onUnremovable?: (path: string, error: unknown) => void;
}

/**
 * Files of tasks beneath one directory, laid out as `libs/core` says. Run by root, what it makes for a task belongs to the task's user, and nothing is read or
 * walked through that belongs to anyone else but the store itself.
 */
export function diskFileStore(root: string, options: DiskFileStoreOptions = {}): FileStore {
  const { maxFileBytes = Number.MAX_SAFE_INTEGER, onUnremovable = () => {} } = options;
  const self = process.getuid?.() ?? -1;
  const isRoot = self === 0;
  const giveTo =
    ({ uid, gid }: Owner) =>
    async (handle: FileHandle): Promise<void> => {
      if (isRoot) await handle.chown(uid, gid);
    };
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const drafts = fileDrafts(root, maxFileBytes);

  /** The store's own directories down to `path`. An earlier Berth gave some of them to the task's user. */
  const ownSteps = (path: string, uid: number | undefined, make = false): Step[] =>
    path.split("/").map((name) => ({
      name,
      uids: isRoot && uid !== undefined ? [self, uid] : undefined,
      ...(make ? { make: (dir) => dir.chmod(0o711) } : {}),
    }));

  /** A directory of the task's user, and those beneath it. */
  const userSteps = (names: readonly (string | Uint8Array)[], owner: Owner, make = false): Step[] =>
    names.map((name) => ({
      name,
      uids: isRoot ? [owner.uid] : undefined,
      ...(make ? { make: giveTo(owner) } : {}),
    }));

  function taskSteps(taskId: string, owner: Owner, make = false): Step[] {
    const path = taskDir(taskId);
    const at = path.lastIndexOf("/");
    return [...ownSteps(path.slice(0, at), owner.uid, make), ...userSteps([path.slice(at + 1)], owner, make)];
  }

  function addTo(
    taskId: string,
    { path, executable, owner }: NewFile,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<number> {
    const names = innerFile(path);
    const steps = [...taskSteps(taskId, owner, true), ...userSteps(names.slice(0, -1), owner, true)];
    return beneath(root, steps, async (dir) => {
      const size = await drafts.write(dir, names.at(-1)!, executable ? 0o700 : 0o600, giveTo(owner), content);
      await dir.handle.sync();
      return size;
    });
  }

  /** Removes a directory of a task. What cannot be removed is put aside under another name. */
  async function removeAll(path: string): Promise<void> {
    const names = path.split("/");
    const name = names.at(-1)!;
    const steps = ownSteps(names.slice(0, -1).join("/"), undefined);
    try {
      await beneath(root, steps, async (dir) => {
        try {
          await removeTree(dir, name);
        } catch (error) {
          const aside = join(root, unremovable, `${names.join("-")}-${randomBytes(6).toString("hex")}`);
          mkdirSync(join(root, unremovable), { recursive: true, mode: 0o700 });
          await rename(dir.at(name), aside);
          onUnremovable(aside, error);
        }
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  return {
    getTaskDir: (taskId) => join(root, taskDir(taskId)),

    async createTaskDir(taskId, files, owner) {
      for (const file of files) innerFile(file.path, "files.path");
      await removeAll(taskBase(splitTaskId(taskId).number));
      const steps = taskSteps(taskId, owner, true);
      await beneath(root, steps, async () => {});
      for (const file of files)
        await addTo(taskId, { path: file.path, executable: file.executable, owner }, [file.content]);
      for (let depth = steps.length; depth >= 0; depth--)
        await beneath(root, steps.slice(0, depth), (dir) => dir.handle.sync());
    },

    async addFile(taskId, file, content) {
      return addTo(taskId, file, content);
    },

    clean(taskId) {
      const { number, index } = splitTaskId(taskId);
      return removeAll(index === undefined ? taskBase(number) : `${elementBase(number, index)}/${index}`);
    },

    async list(taskId, path, owner) {
      const names = innerPath(path);
      try {
        return await beneath(root, [...taskSteps(taskId, owner), ...userSteps(names, owner)], listDirectory);
      } catch (error) {
        // A task that never ran and was given nothing has no directory yet: an empty one, to whoever asks.
        if (names.length === 0 && isMissing(error)) return { entries: [], truncated: false };
        throw error;
      }
    },

    async read(taskId, path, owner): Promise<OpenFile> {
      const names = innerFile(path);
      const steps = [...taskSteps(taskId, owner), ...userSteps(names.slice(0, -1), owner)];
      const { handle, stats } = await beneath(root, steps, (dir) =>
        openFile(dir, names.at(-1)!, isRoot ? [owner.uid] : undefined),
      );
      return { sizeBytes: stats.size, content: pieces(handle) };
    },

    removeOldDrafts: drafts.removeOld,

    ...logFiles(
      (path, { uid }, make, fn) => {
        const at = path.lastIndexOf("/");
        return beneath(root, ownSteps(path.slice(0, at), uid, make), (dir) => fn(dir, path.slice(at + 1)));
      },
      isRoot ? ({ uid }) => [self, uid] : () => undefined,
    ),
  };
}

const isMissing = (error: unknown): boolean => error instanceof AppError && error.reason === "FILE_NOT_FOUND";

async function listDirectory(dir: OpenDirectory): Promise<{ entries: FileEntry[]; truncated: boolean }> {
  const names: Buffer[] = [];
  let truncated = false;
  // Node's types know no names as bytes here.
  const opened = await opendir(dir.at(), { encoding: "buffer" as BufferEncoding }).catch(async (error: unknown) => {
    throw await explained(error, dir.at());
  });
  for await (const found of opened) {
    if ((truncated = names.length === entriesAtMost)) break;
    names.push(found.name as unknown as Buffer);
  }
  names.sort(Buffer.compare);
  const entries: FileEntry[] = [];
  for (let at = 0; at < names.length; at += looksAtOnce) {
    const looked = names.slice(at, at + looksAtOnce).map(async (name) => {
      const stats = await lstat(dir.at(name)).catch(() => undefined); // gone meanwhile
      const sizeBytes = stats?.isFile() ? stats.size : 0;
      return stats ? [{ ...shownName(name), sizeBytes, directory: stats.isDirectory() }] : [];
    });
    entries.push(...(await Promise.all(looked)).flat());
  }
  return { entries, truncated };
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
