import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Run } from "@berth/core";
import type { FileStore, OutputStream } from "../../ports/file-store.ts";
import { codeOf } from "./beneath.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Output of runs. Its files stand beside the tasks' directories, where no task may write but into its own two. */
export function logFiles(pathOf: (run: Run, stream: OutputStream) => string): Pick<FileStore, "appendLog" | "readLog"> {
  /** Appends to one file come one after the other: each must see the size that the one before has left. */
  const turns = new Map<string, Promise<number>>();

  async function append(path: string, offset: number, content: Uint8Array): Promise<number> {
    await mkdir(dirname(path), { recursive: true, mode: 0o711 });
    const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    try {
      const { size } = await handle.stat();
      if (size !== offset || content.length === 0) return size;
      await handle.writeFile(content);
      await handle.datasync(); // the agent removes its own copy once this is answered
      return size + content.length;
    } finally {
      await handle.close();
    }
  }

  return {
    appendLog(run, stream, offset, content) {
      const path = pathOf(run, stream);
      const turn = (turns.get(path) ?? Promise.resolve(0)).catch(() => 0).then(() => append(path, offset, content));
      turns.set(path, turn);
      const forget = () => {
        if (turns.get(path) === turn) turns.delete(path);
      };
      turn.then(forget, forget);
      return turn;
    },

    async readLog(run, stream, offset, atMost) {
      const handle = await open(pathOf(run, stream), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
        if (codeOf(error) === "ENOENT" || codeOf(error) === "ELOOP") return undefined;
        throw error;
      });
      if (!handle) return new Uint8Array();
      try {
        const stats = await handle.stat();
        const left = stats.isFile() ? Math.min(atMost, stats.size - offset) : 0;
        if (left <= 0) return new Uint8Array();
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(left), 0, left, offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    },
  };
}
