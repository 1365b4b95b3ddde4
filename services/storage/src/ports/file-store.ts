import type { FileEntry } from "@berth/contracts/store";
import type { InputFile } from "@berth/contracts/types";
import type { Run } from "@berth/core";

/** The user who gets the files, where storage runs as root. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A path relative to a task's directory: text, or bytes where it is no UTF-8. */
export type FilePath = string | Uint8Array;

export type OutputStream = "stdout" | "stderr";

/**
 * Files of tasks. No path leads out of a task's directory, not even by a link that the task itself has made there, nor to what another user owns: `invalid`
 * PATH_OUTSIDE. A name that no disk has is `invalid` INVALID_PATH.
 */
export interface FileStore {
  /** A task's directory on this machine; it need not exist. */
  getTaskDir(taskId: string): string;
  /** Makes a new task's directory with its input files, durably. Removes first what an earlier life of the database left under this id. */
  createTaskDir(taskId: string, files: readonly InputFile[], owner: Owner): Promise<void>;
  /** Adds or replaces a file; readers see the old or the new one, whole. Answers its size. Rejects with `invalid` FILE_TOO_LARGE, or `unavailable` STORAGE_FULL. */
  addFile(taskId: string, file: NewFile, content: AsyncIterable<Uint8Array>): Promise<number>;
  /** Removes everything of a task or an array. */
  clean(taskId: string): Promise<void>;
  /** A directory's entries by name, at most 10,000. Rejects with `not-found` FILE_NOT_FOUND. */
  list(
    taskId: string,
    path: FilePath,
    owner: Owner,
  ): Promise<{ readonly entries: FileEntry[]; readonly truncated: boolean }>;
  /** Opens a regular file. Rejects with `not-found` FILE_NOT_FOUND, or `invalid` NOT_A_FILE. */
  read(taskId: string, path: FilePath, owner: Owner): Promise<OpenFile>;
  /** Appends durably where `offset` is the stored size; answers the size that is stored then. */
  appendLog(run: Run, stream: OutputStream, owner: Owner, offset: number, content: Uint8Array): Promise<number>;
  /** Up to `atMost` bytes of output from an offset; none where there is none, or not yet. */
  readLog(run: Run, stream: OutputStream, owner: Owner, offset: number, atMost: number): Promise<Uint8Array>;
  /** Removes drafts that were last written to before `before`: their upload has died. Resolves with their number. */
  removeOldDrafts(before: Date): Promise<number>;
}

export interface NewFile {
  readonly path: FilePath;
  readonly executable: boolean;
  readonly owner: Owner;
}

export interface OpenFile {
  readonly sizeBytes: number;
  /** Pieces of at most 256 KiB. Closes the file at its end, or when it is left. */
  readonly content: AsyncIterable<Buffer>;
}
