import { AppError } from "@berth/core";

/** So many items that fail one by one, with none that goes well, say that the fault is not theirs. */
const failuresAlone = 8;

/** Errors that say nothing about the items: a peer is away, somebody else leads. */
const isOfAll = ({ code, reason }: AppError): boolean =>
  code === "unavailable" || code === "denied" || code === "unauthenticated" || reason === "STALE_TERM";

/**
 * Runs a batch; where it fails, its halves, down to the item that is at fault: that one's result is its AppError, and the others are carried out. Rejects where the
 * error says nothing about the items, or where every item fails. `run` may be called again with items of a run that failed.
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
