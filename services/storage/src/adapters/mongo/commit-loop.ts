import { AppError, queueFull, storageClosed } from "@berth/core";

export interface CommitLoopOptions {
  /** The most calls in one transaction, each counted by its weight. */
  readonly maxItems?: number;
  /** The most calls that may wait; more are refused with `unavailable` QUEUE_FULL. */
  readonly maxQueued?: number;
  /** A call that waited longer is refused with `unavailable` QUEUE_TIMEOUT: whoever sent it has given up, or asked again. */
  readonly maxWaitMs?: number;
}

/** The result of one call. A call that fails does not affect the others of its transaction. */
export type Outcome = { readonly value: unknown } | { readonly failure: unknown };

interface Entry<C> {
  readonly call: C;
  readonly weight: number;
  readonly queuedAt: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** While a transaction is under way, new calls wait and then share the next one. So the slower the database, the more calls share a commit. */
export interface CommitLoop<C> {
  run(call: C, weight?: number): Promise<unknown>;
  /** Refuses new calls with `unavailable` STORAGE_CLOSED, and resolves when those that wait are answered. */
  close(): Promise<void>;
}

/**
 * `commit` stores calls in one transaction and answers each. If it throws `unavailable`, nothing is stored or the result is unknown. Any other error is the fault of
 * one call; then each call is tried alone.
 */
export function commitLoop<C>(
  commit: (calls: readonly C[]) => Promise<readonly Outcome[]>,
  { maxItems = 512, maxQueued = 50_000, maxWaitMs = 30_000 }: CommitLoopOptions = {},
): CommitLoop<C> {
  let waiting: Entry<C>[] = [];
  let running: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    // Wait for the other calls of this turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      refuseStale();
      if (waiting.length === 0) break;
      const fitting = countFitting(waiting, maxItems);
      const batch = waiting.slice(0, fitting);
      waiting = waiting.slice(fitting);
      await settle(batch);
    }
    running = undefined;
  }

  function refuseStale(): void {
    const before = performance.now() - maxWaitMs;
    const fresh = waiting.findIndex(({ queuedAt }) => queuedAt >= before);
    for (const { reject } of waiting.splice(0, fresh < 0 ? waiting.length : fresh))
      reject(new AppError("unavailable", "QUEUE_TIMEOUT", `the database took no write for ${maxWaitMs / 1000} s`));
  }

  async function settle(batch: readonly Entry<C>[]): Promise<void> {
    let outcomes: readonly Outcome[];
    try {
      outcomes = await commit(batch.map(({ call }) => call));
    } catch (error) {
      const shared = error instanceof AppError && error.code === "unavailable";
      if (!shared && batch.length > 1) {
        for (const entry of batch) await settle([entry]);
        return;
      }
      for (const entry of batch) entry.reject(error);
      return;
    }
    batch.forEach((entry, at) => {
      const outcome = outcomes[at]!;
      if ("value" in outcome) entry.resolve(outcome.value);
      else entry.reject(outcome.failure);
    });
  }

  return {
    run(call, weight = 1) {
      return new Promise((resolve, reject) => {
        if (closed) return reject(storageClosed());
        if (waiting.length >= maxQueued) return reject(queueFull("writes", maxQueued));
        waiting.push({ call, weight, queuedAt: performance.now(), resolve, reject });
        running ??= drain();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}

function countFitting(entries: readonly { readonly weight: number }[], maxItems: number): number {
  let weight = 0;
  let count = 0;
  for (const entry of entries) {
    weight += entry.weight;
    if (count > 0 && weight > maxItems) break;
    count += 1;
  }
  return count;
}
