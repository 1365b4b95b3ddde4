import { AppError } from "@berth/core";

/** If this many single items fail and none succeeds, the fault is not in the items. */
const failuresAlone = 8;

/** Errors that are not the items' fault: a peer is away, or another scheduler leads. */
const isOfAll = ({ code, reason }: AppError): boolean =>
  code === "unavailable" || code === "denied" || code === "unauthenticated" || reason === "STALE_TERM";

/**
 * Runs a batch. If it fails, runs its halves, down to the faulty item, whose result is its AppError; the others are carried out. Rejects if the error is not
 * the items' fault, or if every item fails. `run` may be called again with items of a failed run.
 */
export async function splitOnFailure<T, R>(
  items: readonly T[],
  run: (items: readonly T[]) => Promise<readonly R[]>,
): Promise<(R | AppError)[]> {
  let failed = 0;
  let gone = 0;
  async function part(of: readonly T[]): Promise<(R | AppError)[]> {
    try {
      const results = await run(of);
      gone += of.length;
      return [...results];
    } catch (thrown) {
      const error = AppError.from(thrown);
      if (isOfAll(error)) throw error;
      if (of.length > 1) {
        const half = of.length >> 1;
        return [...(await part(of.slice(0, half))), ...(await part(of.slice(half)))];
      }
      failed += 1;
      if (gone === 0 && failed >= Math.min(failuresAlone, items.length)) throw error;
      return [error];
    }
  }
  return part(items);
}
