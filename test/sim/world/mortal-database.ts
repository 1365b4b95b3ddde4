import type { Database } from "@berth/database";
import { AppError } from "@berth/core";
import type { Life } from "./time.ts";

export interface MortalDeps {
  /** Whether this write finds the disk full. */
  fails(): boolean;
  /** The moments around a commit, in which the life may end. */
  onWrite(when: "before" | "after"): void;
  /** Called after a commit; the commit stays, even if this life of storage ends now. */
  onCommitted(): void;
}

/** The error of a write to a full disk. */
export const diskFull = (): AppError => AppError.received("unavailable", "DISK_FULL", "the disk is full");

/** The database as one life of storage sees it. What it has not committed is undone when it dies. */
export const mortalDatabase = (
  database: Database,
  life: Life,
  { fails, onWrite, onCommitted }: MortalDeps,
): Database => ({
  ...database,
  transaction: (fn) => {
    const result = database.transaction(() => {
      const done = fn();
      if (fails()) throw diskFull();
      onWrite("before");
      if (!life.alive) throw AppError.received("unavailable", "KILLED", "this storage is dead");
      return done;
    });
    onCommitted();
    onWrite("after");
    return result;
  },
});
