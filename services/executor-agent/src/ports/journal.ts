import type { HeldRun } from "../domain/held-run.ts";

/** What one transaction writes. */
export interface JournalChanges {
  /** Runs as they are now. */
  readonly runs?: readonly HeldRun[];
  /** Specs that those runs refer to. */
  readonly specs?: readonly { readonly id: number; readonly bytes: Uint8Array }[];
  /** Runs whose end is stored for good: of these only the key is kept. */
  readonly settled?: readonly string[];
  /** Specs that no run needs any more. */
  readonly droppedSpecs?: readonly number[];
  /** Largest terms seen, by epoch: a new database counts from 1 again. */
  readonly terms?: ReadonlyMap<string, number>;
  /** The boot in which what ran before was judged. */
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

/** What this host was told and what happened, on its own disk. Writing is synchronous and quick; that it is on disk is told later. */
export interface Journal {
  /** Random, made with the journal; placements name it. */
  readonly id: string;
  load(): JournalContent;
  /** Writes all or nothing, for whoever reads next in this boot; throws AppError `unavailable` JOURNAL_FAILED. */
  write(changes: JournalChanges): void;
  /** Calls `done` once everything written until now would survive the loss of power, or with the error. */
  flush(done: (error?: unknown) => void): void;
  /** Whether a run was settled in the last hour. */
  remembers(key: string): boolean;
  /** Deletes keys that were settled before. */
  forget(settledBefore: Date): void;
}

/** How far a driver has read the output that its engine keeps: text of its own, by run. Written soon, not at once: reading twice does no harm. */
export interface LogPositions {
  get(key: string): string | undefined;
  set(key: string, position: string): void;
  delete(keys: readonly string[]): void;
}
