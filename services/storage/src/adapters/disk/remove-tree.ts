import { randomBytes } from "node:crypto";
import { opendir, rename, rmdir, unlink } from "node:fs/promises";
import { AppError } from "@berth/core";
import { codeOf, openBeneath } from "./beneath.ts";
import type { DiskName, OpenDirectory } from "./beneath.ts";

/** Levels that are open at a time. What lies deeper is moved up first: a user may nest directories without an end. */
const depthAtMost = 32;
/** Files that are removed side by side. */
const atOnce = 16;
/** Looks at one name, of which a user may make something else between two calls. */
const triesAtMost = 50;
/** How often a tree's own root is gone through: once for each that was moved up to it. */
const passesAtMost = 10_000;

/** A tree that is being removed. */
interface Tree {
  root: OpenDirectory | undefined;
  /** How many directories were moved up to its root. */
  moved: number;
}

/**
 * Removes what has a name in a directory of the store's own, and all beneath it. Nothing outside of it is touched, though a user may exchange any of its
 * directories for a link at any moment: each level is removed through its open directory. Rejects where something cannot be removed, such as a mount.
 */
export const removeTree = (parent: OpenDirectory, name: DiskName): Promise<void> =>
  remove(parent, name, 0, { root: undefined, moved: 0 });

async function remove(dir: OpenDirectory, name: DiskName, depth: number, tree: Tree): Promise<void> {
  for (let tried = 0, passes = 0; tried < triesAtMost && passes < passesAtMost; tried++, passes++) {
    const { moved } = tree;
    if (await gone(unlink(dir.at(name)), "EISDIR", "EPERM")) return;
    if (depth === depthAtMost) {
      tree.moved += 1;
      await gone(rename(dir.at(name), tree.root!.at(`.removed-${randomBytes(6).toString("hex")}`)));
      return;
    }
    if (!(await emptied(dir, name, depth, tree))) continue; // it is a link by now
    if (await gone(rmdir(dir.at(name)), "ENOTEMPTY", "EEXIST", "ENOTDIR")) return;
    if (tree.moved === moved) continue;
    if (depth > 0) return; // what is left here was in the way of a move: the next pass finds it
    tried = 0;
  }
  throw new AppError("unavailable", "FILES_NOT_REMOVED", "a directory is filled again as fast as it is emptied");
}

/** Whether the call did it, or nothing was there; false for the errors that say what is there instead. */
const gone = (call: Promise<void>, ...otherwise: readonly string[]): Promise<boolean> =>
  call.then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === "ENOENT") return true;
      if (otherwise.includes(codeOf(error))) return false;
      throw error;
    },
  );

async function emptied(parent: OpenDirectory, name: DiskName, depth: number, tree: Tree): Promise<boolean> {
  let dir: OpenDirectory;
  try {
    dir = await openBeneath(parent, name);
  } catch (error) {
    if (error instanceof AppError && (error.reason === "FILE_NOT_FOUND" || error.metadata["rule"]?.endsWith("link")))
      return false;
    throw error;
  }
  if (depth === 0) tree.root = dir;
  try {
    const files: Buffer[] = [];
    const removeFiles = async () =>
      void (await Promise.all(files.splice(0).map((file) => remove(dir, file, depth + 1, tree))));
    for await (const entry of await opendir(dir.at(), { encoding: "buffer" as BufferEncoding, bufferSize: 256 })) {
      const file = entry.name as unknown as Buffer;
      if (entry.isDirectory()) await remove(dir, file, depth + 1, tree);
      else if (files.push(file) === atOnce) await removeFiles();
    }
    await removeFiles();
    return true;
  } finally {
    await dir.handle.close();
  }
}
