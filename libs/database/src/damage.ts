import { closeSync, openSync, readSync, statSync } from "node:fs";
import { uptime } from "node:os";
import { AppError } from "@berth/core";

/** The low byte of SQLite's codes for a file that is damaged, and for one that is no database: https://sqlite.org/rescode.html */
const damageCodes: readonly number[] = [11, 26];

export const isDamage = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && damageCodes.includes(Number(error.errcode) & 0xff);

/** For an operator: no new start of the process mends it. */
export const damaged = (path: string, what: string, cause?: unknown): AppError =>
  new AppError(
    "precondition",
    "DATABASE_DAMAGED",
    `${path} is damaged (${what}). Berth goes on only after somebody has looked: put the file aside, with those beside it that begin with its name, and restore a copy; docs/operations.md says what that means for each database`,
    { cause, metadata: { path } },
  );

const shmHeaderBytes = 136;
const walHeaderBytes = 32;
const frameHeaderBytes = 24;
/** Four times what a log grows to where nothing holds it up: some hundred milliseconds. */
const mostCheckedBytes = 64 * 1024 * 1024;

/** What the file `-shm` says of the log `-wal`, as processes that died left it: https://sqlite.org/walformat.html */
interface LogIndex {
  readonly pageBytes: number;
  /** Frames of the log that were committed. */
  readonly frames: number;
  /** Of these, so many are in the database already. */
  readonly inDatabase: number;
  readonly salts: Buffer;
  readonly checksum: Buffer;
}

/**
 * What is missing of a log that is to be opened; undefined: nothing. SQLite itself takes a log that was cut off for a shorter one, and so loses commits
 * without a word. To be called before the database is opened.
 */
export function logFault(path: string): string | undefined {
  const index = readIndex(`${path}-shm`);
  if (!index || index.inDatabase >= index.frames) return undefined;
  const fault = faultOf(`${path}-wal`, index);
  // Another process that has it open may have begun the log again meanwhile.
  return fault !== undefined && sameIndex(index, readIndex(`${path}-shm`)) ? fault : undefined;
}

function readIndex(path: string): LogIndex | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  // It is never put on disk: after a loss of power it may be ahead of the log.
  if (!found || found.size < shmHeaderBytes || found.mtimeMs < Date.now() - uptime() * 1000) return undefined;
  const header = readBytes(path, 0, shmHeaderBytes);
  if (!header || header[12] !== 1 || !header.subarray(0, 48).equals(header.subarray(48, 96))) return undefined;
  const page = header.readUInt16LE(14);
  return {
    pageBytes: page === 1 ? 65_536 : page,
    frames: header.readUInt32LE(16),
    inDatabase: header.readUInt32LE(96),
    salts: header.subarray(32, 40),
    checksum: header.subarray(24, 32),
  };
}

const sameIndex = (one: LogIndex, other: LogIndex | undefined): boolean =>
  other !== undefined && one.frames === other.frames && one.salts.equals(other.salts);

function faultOf(path: string, { pageBytes, frames, salts, checksum }: LogIndex): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const frameBytes = frameHeaderBytes + pageBytes;
  if (size < walHeaderBytes + frames * frameBytes)
    return `its log has ${size} bytes, and ${walHeaderBytes + frames * frameBytes} were committed`;
  const header = readBytes(path, 0, walHeaderBytes)!;
  if (!header.subarray(16, 24).equals(salts)) return "its log is another one than it was written with";
  if (size > mostCheckedBytes) return undefined;
  return checksumOf(path, header, frames, frameBytes).equals(checksum)
    ? undefined
    : "its log was changed after it was written";
}

/** The checksum that goes on from frame to frame, as the index has that of the last. */
function checksumOf(path: string, header: Buffer, frames: number, frameBytes: number): Buffer {
  const isBig = (header.readUInt32BE(0) & 1) === 1;
  let s0 = header.readUInt32BE(24);
  let s1 = header.readUInt32BE(28);
  const add = (bytes: Buffer, from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      s0 = (s0 + s1 + (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))) >>> 0;
      s1 = (s1 + s0 + (isBig ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4))) >>> 0;
    }
  };
  const file = openSync(path, "r");
  try {
    const frame = Buffer.alloc(frameBytes);
    for (let n = 0; n < frames; n++) {
      readSync(file, frame, 0, frameBytes, walHeaderBytes + n * frameBytes);
      add(frame, 0, 8);
      add(frame, frameHeaderBytes, frameBytes);
    }
  } finally {
    closeSync(file);
  }
  const sum = Buffer.alloc(8);
  sum.writeUInt32LE(s0, 0);
  sum.writeUInt32LE(s1, 4);
  return sum;
}

function readBytes(path: string, at: number, length: number): Buffer | undefined {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return readSync(file, bytes, 0, length, at) === length ? bytes : undefined;
  } finally {
    closeSync(file);
  }
}
