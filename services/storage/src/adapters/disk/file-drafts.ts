import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { AppError, invalidField } from "@berth/core";
import { codeOf, noRoom } from "./beneath.ts";
import type { DiskName, OpenDirectory } from "./beneath.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

export interface FileDrafts {
  /** Writes a file's content in a directory of the store's own, durably, and moves it to its place whole. Answers its size. */
  write(
    to: OpenDirectory,
    name: DiskName,
    mode: number,
    give: (handle: FileHandle) => Promise<void>,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<number>;
  /** Removes drafts that were last written to before `before`. Resolves with their number. */
  removeOld(before: Date): Promise<number>;
}

/** Files that are not whole yet, in a directory that no task can reach. Several stores may share it. */
export function fileDrafts(root: string, maxFileBytes: number): FileDrafts {
  const dir = join(root, "drafts");

  async function create(): Promise<{ draft: string; handle: FileHandle }> {
    const draft = join(dir, randomBytes(12).toString("hex"));
    const make = () => open(draft, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
    const handle = await make().catch(async (error: unknown) => {
      if (codeOf(error) !== "ENOENT") throw error;
      await mkdir(dir, { mode: 0o700 }).catch(() => {}); // another made it
      return make();
    });
    return { draft, handle };
  }

  return {
    async write(to, name, mode, give, content) {
      const { draft, handle } = await create().catch((error: unknown) => {
        throw noRoom(error);
      });
      try {
        let size = 0;
        for await (const piece of content) {
          size += piece.length;
          if (size > maxFileBytes)
            throw invalidField("content", `a file has at most ${maxFileBytes} bytes here`, "FILE_TOO_LARGE");
          await handle.writeFile(piece); // all of it, or it rejects
        }
        await handle.chmod(mode);
        await give(handle);
        await handle.sync();
        await rename(draft, to.at(name)).catch((error: unknown) => {
          throw codeOf(error) === "ENOENT" ? abandoned(error) : error;
        });
        return size;
      } catch (error) {
        await rm(draft, { force: true });
        if (codeOf(error) !== "EISDIR" && codeOf(error) !== "ENOTEMPTY") throw noRoom(error);
        throw invalidField("path", "must not name a directory", "NOT_A_FILE");
      } finally {
        await handle.close();
      }
    },

    async removeOld(before) {
      let removed = 0;
      for (const name of await readdir(dir).catch(() => [])) {
        const stats = await lstat(join(dir, name)).catch(() => undefined);
        if (!stats || stats.mtimeMs >= before.getTime()) continue;
        await rm(join(dir, name), { force: true });
        removed += 1;
      }
      return removed;
    },
  };
}

const abandoned = (cause: unknown): AppError =>
  new AppError("unavailable", "FILE_NOT_STORED", "the file came too slowly, or its directory was removed meanwhile", {
    cause,
  });
