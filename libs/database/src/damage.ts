import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { AppError } from "@berth/core";

/** Low byte of SQLite's error codes SQLITE_CORRUPT and SQLITE_NOTADB: https://sqlite.org/rescode.html */
const damageCodes: readonly number[] = [11, 26];

export const isDamage = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && damageCodes.includes(Number(error.errcode) & 0xff);

/** The error for the operator. Starting the process again repairs nothing. */
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
/** Largest log whose checksums are verified: four times the size at which SQLite makes a checkpoint. */
const mostCheckedBytes = 64 * 1024 * 1024;

/** What the index (`-shm`) of a killed process says about its write-ahead log (`-wal`): https://sqlite.org/walformat.html */
interface LogIndex {
  readonly pageBytes: number;
  /** Frames of the log that were committed. */
  readonly frames: number;
  /** How many of them a checkpoint has copied to the database. */
  readonly inDatabase: number;
  readonly salts: Buffer;
  readonly checksum: Buffer;
}

/**
 * Says what is wrong with the write-ahead log of a database whose process was killed; undefined: nothing. SQLite reads a truncated log up to its last valid frame and
 * loses the commits behind it without an error. Call this before SQLite opens the database.
 */
export function logFault(path: string): string | undefined {
  // The index is never synced, so that after a reboot it may be ahead of the log.
  const index = bootOf(path) === thisBoot() ? readIndex(`${path}-shm`) : undefined;
  if (!index || index.inDatabase >= index.frames) return undefined;
  const fault = faultOf(`${path}-wal`, index);
  // A second process that has the database open may have restarted or removed the log between the two reads.
  return fault !== undefined && isUnchanged(index, readIndex(`${path}-shm`)) ? fault : undefined;
}

const bootFile = (path: string): string => `${path}-boot`;

/** Id of the system's boot; empty where the system has none. */
function thisBoot(): string {
  return process.platform === "linux" ? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() : "";
}

/** Notes in which boot the database is open. */
export function noteBoot(path: string): void {
  if (thisBoot() !== "" && bootOf(path) !== thisBoot()) writeFileSync(bootFile(path), thisBoot(), { mode: 0o600 });
}

const bootOf = (path: string): string | undefined => {
  const found = statSync(bootFile(path), { throwIfNoEntry: false });
  return found && readFileSync(bootFile(path), "utf8");
};

function readIndex(path: string): LogIndex | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found || found.size < shmHeaderBytes) return undefined;
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

const isUnchanged = (before: LogIndex, now: LogIndex | undefined): boolean =>
  now !== undefined && now.frames === before.frames && now.inDatabase < now.frames && now.salts.equals(before.salts);

function faultOf(path: string, { pageBytes, frames, salts, checksum }: LogIndex): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const frameBytes = frameHeaderBytes + pageBytes;
  if (size < walHeaderBytes + frames * frameBytes)
    return `its log has ${size} bytes, and ${walHeaderBytes + frames * frameBytes} were committed`;
  const header = readBytes(path, 0, walHeaderBytes);
  if (!header?.subarray(16, 24).equals(salts)) return "its log is another one than it was written with";
  if (size > mostCheckedBytes) return undefined;
  const sum = checksumOf(path, header, frames, frameBytes);
  return sum?.equals(checksum) ? undefined : "its log was changed after it was written";
}

/** The cumulative checksum up to the last committed frame, in the byte order of the index. */
function checksumOf(path: string, header: Buffer, frames: number, frameBytes: number): Buffer | undefined {
  const isBig = (header.readUInt32BE(0) & 1) === 1;
  let s0 = header.readUInt32BE(24);
  let s1 = header.readUInt32BE(28);
  const add = (bytes: Buffer, from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      s0 = (s0 + s1 + (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))) >>> 0;
      s1 = (s1 + s0 + (isBig ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4))) >>> 0;
    }
  };
  const file = openFile(path);
  if (file === undefined) return undefined;
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
  const file = openFile(path);
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(length);
    return readSync(file, bytes, 0, length, at) === length ? bytes : undefined;
  } finally {
    closeSync(file);
  }
}

/** Opens a file to read; undefined where a second process has just removed it. */
function openFile(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
