import type { MongoRecords } from "./records.ts";
import type { MongoCalls } from "./calls.ts";
import { deletedAfterMs } from "./feed.ts";
import type { Feed, FeedLimits } from "./feed.ts";
import type { Call } from "./transactions.ts";

/** Most rows that one step marks, and most that it deletes. */
const atMost = 5_000;

const idOnly = { sort: { _id: 1 }, limit: 1, projection: { _id: 1 } } as const;

export interface PurgeDeps {
  readonly calls: MongoCalls;
  readonly feed: Feed;
  readonly limits: FeedLimits;
  /** The database's clock. */
  now(): number;
  write(foresee: Call["foresee"], decide: (records: MongoRecords) => void): Promise<void>;
  /** This machine's monotonic clock, in ms; measures only how long ago a mark was made. */
  readonly elapsed?: () => number;
}

/**
 * Purges the feed, one small step per call. Rows are first marked in the writer document, and deleted later, once every store must have read the mark: so no reader
 * goes on across a gap. The mark that waits for its deletion is only in memory, so a store that starts waits again.
 */
export class Purge {
  readonly #deps: PurgeDeps;
  readonly #elapsed: () => number;
  /** A mark, and when we read it first. */
  #waiting: { readonly upTo: number; readonly since: number } | undefined;

  constructor(deps: PurgeDeps) {
    this.#deps = deps;
    this.#elapsed = deps.elapsed ?? (() => performance.now());
  }

  /** One step; tells whether there is more to do at once. */
  async step(): Promise<boolean> {
    const { purged_up_to: marked, revision } = await this.#deps.feed.look();
    const deletesOn = await this.#delete(marked);
    const marksOn = await this.#mark(marked, revision);
    return deletesOn || marksOn;
  }

  async #delete(marked: number): Promise<boolean> {
    const { calls } = this.#deps;
    this.#waiting ??= { upTo: marked, since: this.#elapsed() };
    const { upTo, since } = this.#waiting;
    if (this.#elapsed() - since < deletedAfterMs) return false;
    const [first] = await calls.find("changes", { _id: { $lte: upTo } }, idOnly);
    if (!first) {
      this.#waiting = { upTo: marked, since: this.#elapsed() };
      return false;
    }
    // Revisions have no gaps.
    await calls.deleteMany("changes", { _id: { $lte: Math.min(upTo, Number(first["_id"]) + atMost - 1) } });
    return true;
  }

  async #mark(marked: number, revision: number): Promise<boolean> {
    const { calls, limits, write } = this.#deps;
    const options = { sort: { _id: 1 }, limit: atMost, projection: { at: 1 } } as const;
    const now = this.#deps.now();
    const unmarked = { _id: { $gt: marked } };
    const [oldest] = await calls.find("changes", unmarked, { ...options, limit: 1 });
    const isOld = ({ at }: { readonly at?: Date }) => now - at!.getTime() > limits.keepMs;
    const old = oldest && isOld(oldest) ? await calls.find("changes", unmarked, options) : [];
    const tooOld = old.filter(isOld).at(-1);
    // The last row stays: it tells when the database was written last.
    const upTo = Math.min(revision - 1, Math.max(Number(tooOld?.["_id"] ?? 0), revision - limits.keepRows));
    if (upTo <= marked) return false;
    await write(
      () => {},
      (records) => {
        records.counters.purgedUpTo = Math.max(records.counters.purgedUpTo, upTo);
      },
    );
    return old.length === atMost && tooOld === old.at(-1);
  }
}
