import type { Batch } from "./batch.ts";
import type { MongoCalls } from "./calls.ts";
import { deletedAfterMs } from "./feed.ts";
import type { Feed, FeedLimits } from "./feed.ts";
import type { Call } from "./transactions.ts";

/** How many rows one step looks at. */
const atMost = 5_000;

/**
 * One step of purging the feed. What is due is first marked in the writer document; it is deleted only a while later, when every reader of every copy has looked
 * there: none reads on over a gap.
 */
export async function purge(
  calls: MongoCalls,
  limits: FeedLimits,
  feed: Feed,
  now: number,
  write: (needs: Call["needs"], decide: (batch: Batch) => void) => Promise<void>,
): Promise<boolean> {
  const writer = await feed.look();
  const { purged_up_to: marked, purged_at: markedAt, revision } = writer;
  const [first] = await calls.find(
    "changes",
    { _id: { $gt: marked } },
    { sort: { _id: 1 }, limit: 1, projection: { at: 1 } },
  );
  const [deletable] = await calls.find("changes", { _id: { $lte: marked } }, { limit: 1, projection: { _id: 1 } });
  if (deletable && now - markedAt.getTime() >= deletedAfterMs)
    await calls.deleteMany("changes", { _id: { $lte: marked } });
  if (!first) return false;
  const sort = { _id: 1 as const };
  const old = await calls.find("changes", { _id: { $gt: marked } }, { sort, limit: atMost, projection: { at: 1 } });
  const tooOld = old.filter(({ at }) => now - (at as Date).getTime() > limits.keepMs).at(-1);
  // The last row stays: it tells when the database was written last.
  const upTo = Math.min(revision - 1, Math.max(Number(tooOld?.["_id"] ?? 0), revision - limits.keepRows));
  if (upTo <= marked) return false;
  await write(
    () => {},
    (batch) => {
      if (upTo <= batch.counters.purgedUpTo) return;
      batch.counters.purgedUpTo = upTo;
      batch.counters.purgedAt = batch.at;
    },
  );
  return old.length === atMost && tooOld !== undefined;
}
