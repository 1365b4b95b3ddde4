import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import type { DatabaseMark } from "../../domain/database-life.ts";

/** Of one size, so that one write replaces it. */
const markBytes = 256;

/** Beside a database: which change it had acknowledged last. */
export interface MarkFile {
  /** What was left here; undefined: nothing, or nothing whole. */
  readonly left: DatabaseMark | undefined;
  /** Written after each commit, and never waited for: the system has it when this process dies, and a loss of power leaves an older one, which is as good. */
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
        // Less than all of it would be no mark: what is left is written again from where it ended.
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, done);
      } catch {
        // a full disk: the older mark stays, which is as good, or none that is whole, which is written again with the next commit
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
