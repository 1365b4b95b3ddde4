import { commitFailed, queueFull, storageClosed } from "@berth/core";
import type { Database } from "./sqlite.ts";

export interface GroupCommitOptions {
  /** Limit of one transaction, in weights. It bounds how long a transaction blocks the event loop. */
  readonly maxItems?: number;
  /** The most functions that may wait; more are refused with `unavailable` QUEUE_FULL. */
  readonly maxQueued?: number;
  /** Told of each durable commit, before any of its calls is answered. */
  readonly onCommit?: (items: number, ms: number) => void;
}

/** Many small writes, one durable commit. */
export interface GroupCommit {
  /**
   * Runs `fn`, which is synchronous and may be run beside others of the same turn in one transaction. Resolves with
   * its result only after the commit is durable. What `fn` throws undoes `fn` alone and rejects this call; a commit
   * that fails rejects every call in it with `unavailable` COMMIT_FAILED, and nothing of them is stored.
   *
   * `weight`: how many plain writes it counts for; one that is heavier than a whole transaction has one to itself.
   */
  run<T>(fn: () => T, weight?: number): Promise<T>;
  /** Commits the waiting writes immediately. Later writes are refused with `unavailable` STORAGE_CLOSED. */
  close(): void;
}

interface Entry {
  readonly fn: () => unknown;
  readonly weight: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly failure: unknown };

/**
 * Puts the writes of one turn of the event loop into one transaction, because one fsync costs as much as a few dozen inserts. The batch grows with the load,
 * and an idle database adds no delay.
 */
export function groupCommit(database: Database, options: GroupCommitOptions = {}): GroupCommit {
  const { maxItems = 256, maxQueued = 50_000, onCommit } = options;
  let waiting: Entry[] = [];
  let scheduled = false;
  let closed = false;

  function flush(): void {
    scheduled = false;
    const fitting = countFitting(waiting, maxItems);
    const batch = fitting === waiting.length ? waiting : waiting.slice(0, fitting);
    waiting = fitting === waiting.length ? [] : waiting.slice(fitting);
    if (batch.length > 0) settle(batch, () => runAll(database, batch), onCommit);
    if (waiting.length > 0) schedule();
  }
  function schedule(): void {
    scheduled = true;
    setImmediate(() => {
      if (scheduled) flush();
    });
  }

  return {
    run<T>(fn: () => T, weight = 1) {
      return new Promise<T>((resolve, reject) => {
        if (closed) return reject(storageClosed());
        if (waiting.length >= maxQueued) {
          return reject(queueFull("writes", maxQueued));
        }
        waiting.push({ fn, weight, resolve: resolve as (value: unknown) => void, reject });
        if (!scheduled) schedule();
      });
    },
    close() {
      closed = true;
      while (waiting.length > 0) flush();
    },
  };
}

/** How many of the first entries go into one transaction: at least one. */
function countFitting(entries: readonly Entry[], maxItems: number): number {
  let weight = 0;
  let count = 0;
  for (const entry of entries) {
    weight += entry.weight;
    if (count > 0 && weight > maxItems) break;
    count += 1;
  }
  return count;
}

function settle(
  batch: readonly Entry[],
  commit: () => readonly Outcome[],
  onCommit: GroupCommitOptions["onCommit"],
): void {
  let outcomes: readonly Outcome[];
  const from = onCommit ? performance.now() : 0;
  try {
    outcomes = commit();
  } catch (cause) {
    const failed = commitFailed(cause);
    for (const entry of batch) entry.reject(failed);
    return;
  }
  onCommit?.(batch.length, performance.now() - from);
  batch.forEach((entry, at) => {
    const outcome = outcomes[at]!;
    if ("value" in outcome) entry.resolve(outcome.value);
    else entry.reject(outcome.failure);
  });
}

/** Runs a batch in one transaction, each in its own savepoint. Throws where the transaction as a whole failed. */
function runAll(database: Database, batch: readonly Entry[]): Outcome[] {
  return database.transaction(() =>
    batch.map(({ fn }) => {
      database.sql("SAVEPOINT item").run();
      try {
        const value = fn();
        database.sql("RELEASE item").run();
        return { value };
      } catch (failure) {
        // SQLite itself rolls the whole transaction back on a full disk or an I/O error: then the failure is not this entry's.
        if (!database.inTransaction()) throw failure;
        database.sql("ROLLBACK TO item").run();
        database.sql("RELEASE item").run();
        return { failure };
      }
    }),
  );
}
