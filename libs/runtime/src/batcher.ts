import { AppError, queueFull } from "@berth/core";

export interface BatcherOptions<T, R> {
  /** The most items in one run. */
  readonly maxItems: number;
  /** The most items that may wait for the next run. */
  readonly maxQueued: number;
  /** Resolves with one result per item, in their order. A result that is an Error rejects only that item's call. */
  run(items: readonly T[]): Promise<readonly (R | Error)[]>;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Combines calls: items that arrive during a run go together in the next one. An idle batcher runs at the end of the same turn of the event loop, so a single
 * item is not delayed. A call rejects with `unavailable` QUEUE_FULL if too many wait, and with any error of its run.
 */
export function batcher<T, R>(options: BatcherOptions<T, R>): (item: T) => Promise<R> {
  const { maxItems, maxQueued, run } = options;
  let waiting: Waiting<T, R>[] = [];
  let busy = false;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.length <= maxItems ? waiting : waiting.slice(0, maxItems);
      waiting = waiting.length <= maxItems ? [] : waiting.slice(maxItems);
      try {
        settle(batch, await run(batch.map((entry) => entry.item)));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    busy = false;
  }

  return (item) =>
    new Promise<R>((resolve, reject) => {
      if (waiting.length >= maxQueued) {
        return reject(queueFull("calls", maxQueued));
      }
      waiting.push({ item, resolve, reject });
      if (busy) return;
      busy = true;
      setImmediate(() => void drain());
    });
}

function settle<T, R>(batch: readonly Waiting<T, R>[], results: readonly (R | Error)[]): void {
  if (results.length !== batch.length) {
    throw new AppError("internal", "BATCH_SIZE", `${batch.length} items gave ${results.length} results`);
  }
  batch.forEach((entry, at) => {
    const result = results[at] as R | Error;
    if (result instanceof Error) entry.reject(result);
    else entry.resolve(result);
  });
}
