import { constants } from "node:fs";
import { AppError, logPath } from "@berth/core";
import type { FileStore, OutputStream, Owner } from "../../ports/file-store.ts";
import { openFile } from "./beneath.ts";
import type { OpenDirectory } from "./beneath.ts";

const { O_APPEND, O_CREAT, O_RDWR } = constants;

/** Runs `fn` with the open directory of a file of output, and the file's name. */
type WithDirectory = <T>(
  path: string,
  owner: Owner,
  make: boolean,
  fn: (dir: OpenDirectory, name: string) => Promise<T>,
) => Promise<T>;

/** Output of runs. Its files stand beside the tasks' directories, in directories of the store's own. */
export function logFiles(
  withDirectory: WithDirectory,
  /** Who may own such a file; undefined: anyone. */
  uidsOf: (owner: Owner) => readonly number[] | undefined,
): Pick<FileStore, "appendLog" | "readLog"> {
  /** Appends to one file come one after the other: each must see the size that the one before has left. */
  const turns = new Map<string, Promise<number>>();

  const append = (path: string, owner: Owner, offset: number, content: Uint8Array): Promise<number> =>
    withDirectory(path, owner, true, async (dir, name) => {
      const { handle, stats } = await openFile(dir, name, uidsOf(owner), O_RDWR | O_APPEND | O_CREAT);
      try {
        const { size } = stats;
        if (size !== offset || content.length === 0) return size;
        await handle.writeFile(content); // all of it, or it rejects
        await handle.datasync(); // the agent removes its own copy once this is answered
        return size + content.length;
      } finally {
        await handle.close();
      }
    });

  const read = (path: string, owner: Owner, offset: number, atMost: number): Promise<Uint8Array> =>
    withDirectory(path, owner, false, async (dir, name) => {
      const { handle, stats } = await openFile(dir, name, uidsOf(owner));
      try {
        const left = Math.min(atMost, stats.size - offset);
        if (left <= 0) return new Uint8Array();
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(left), 0, left, offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    });

  return {
    appendLog(run, stream, owner, offset, content) {
      const path = logPath(run, stream);
      const turn = (turns.get(path) ?? Promise.resolve(0))
        .catch(() => 0)
        .then(() => append(path, owner, offset, content));
      turns.set(path, turn);
      const forget = () => {
        if (turns.get(path) === turn) turns.delete(path);
      };
      turn.then(forget, forget);
      return turn;
    },

    async readLog(run, stream: OutputStream, owner, offset, atMost) {
      try {
        return await read(logPath(run, stream), owner, offset, atMost);
      } catch (error) {
        if (error instanceof AppError) return new Uint8Array(); // nothing is there, or nothing of this run
        throw error;
      }
    },
  };
}
