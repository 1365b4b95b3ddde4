import type { HeldRun } from "../domain/held-run.ts";

/** What one transaction writes. */
export interface JournalChanges {
  /** Runs as they are now. */
  readonly runs?: readonly HeldRun[];
  /** Specs that those runs refer to. */
  readonly specs?: readonly { readonly id: number; readonly bytes: Uint8Array }[];
  /** Runs whose end the server has stored: the journal keeps only their keys. */
  readonly settled?: readonly string[];
  /** Specs that no run needs any more. */
  readonly droppedSpecs?: readonly number[];
  /** Largest terms seen, by epoch: a new database counts from 1 again. */
  readonly terms?: ReadonlyMap<string, number>;
  /** The boot id of this machine, written once the runs of an earlier boot are judged. */
  readonly bootId?: string;
}

/** What the journal had when it was opened. */
export interface JournalContent {
  readonly runs: readonly HeldRun[];
  readonly specs: ReadonlyMap<number, Uint8Array>;
  /** Largest term seen, by epoch. */
  readonly terms: ReadonlyMap<string, number>;
  /** The last boot that was written; empty in a new journal. */
  readonly bootId: string;
}

/** This host's assignments and what became of them, on its own disk. `write` is synchronous and quick; `flush` says when the data is on disk. */
export interface Journal {
  /** Random, made with the journal; each placement names the journal it was made for. */
  readonly id: string;
  load(): JournalContent;
  /** Writes all changes or none. They survive the process, not yet a power loss. Throws AppError `unavailable` JOURNAL_FAILED. */
  write(changes: JournalChanges): void;
  /** Calls `done` once all writes until now would survive a power loss, or with the error. */
  flush(done: (error?: unknown) => void): void;
  /** Whether a run was settled in the last hour. */
  remembers(key: string): boolean;
  /** Deletes the keys of runs that were settled before that time. */
  forget(settledBefore: Date): void;
}

/** How far a driver has read each run's output in its engine's log. The text is the driver's own. Written with a delay, because reading a part twice does no harm. */
export interface LogPositions {
  get(key: string): string | undefined;
  set(key: string, position: string): void;
  delete(keys: readonly string[]): void;
}
