import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import type { DatabaseMark } from "../../domain/database-life.ts";

/** All marks have this size, so that one write replaces the previous one. */
const markBytes = 256;

/** A file beside the database with the last change that was acknowledged. */
export interface MarkFile {
  /** The mark of the previous process; undefined if there is none or it is incomplete. */
  readonly left: DatabaseMark | undefined;
  /** Written after each commit, without fsync. It survives a kill of this process; after a power cut an older mark is left, which is harmless. */
  write(mark: DatabaseMark): void;
  close(): void;
}

export function openMarkFile(path: string): MarkFile {
  const left = readMark(path);
  const file = openSync(path, left ? "r+" : "w", 0o600);
  ftruncateSync(file, markBytes);
  return {
    left,
    write(mark) {
      const bytes = Buffer.from(`${JSON.stringify(mark).padEnd(markBytes - 1)}\n`);
      try {
        // A partial mark is no mark: continue after a short write.
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, done);
      } catch {
        // A full disk: the next commit writes a mark again.
      }
    },
    close() {
      fsyncSync(file);
      closeSync(file);
    },
  };
}

function readMark(path: string): DatabaseMark | undefined {
  try {
    const mark = JSON.parse(readFileSync(path, "utf8")) as Partial<DatabaseMark>;
    const { epoch, revision, number, inode } = mark;
    if (typeof epoch !== "string" || typeof inode !== "string") return undefined;
    return { epoch, inode, revision: Number(revision), number: Number(number) };
  } catch {
    return undefined;
  }
}

export const inodeOf = (path: string): string => String(statSync(path, { bigint: true }).ino);
