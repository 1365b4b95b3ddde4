import { describe, expect, it } from "vitest";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls } from "./calls.ts";
import type { Feed } from "./feed.ts";
import { deletedAfterMs } from "./feed.ts";
import { Purge } from "./purge.ts";

/** A feed as rows in memory, on a clock that a test moves. */
function aFeed(keepMs: number) {
  let rows: { readonly _id: number; readonly at: Date }[] = [];
  let revision = 0;
  let nowMs = 0;
  let mark = 0;
  const markedAt = new Map<number, number>();
  const tooEarly: number[] = [];
  const calls = {
    async find(_: string, { _id }: { _id: { $gt?: number; $lte?: number } }, { limit }: { limit: number }) {
      return rows.filter((row) => row._id > (_id.$gt ?? 0) && row._id <= (_id.$lte ?? Infinity)).slice(0, limit);
    },
    async deleteMany(_: string, { _id: { $lte: upTo } }: { _id: { $lte: number } }) {
      const gone = rows.filter((row) => row._id <= upTo);
      tooEarly.push(...gone.map((row) => row._id).filter((id) => nowMs - markedAt.get(id)! < deletedAfterMs));
      rows = rows.filter((row) => row._id > upTo);
    },
  };
  const purge = new Purge({
    calls: calls as unknown as MongoCalls,
    feed: { look: async () => ({ purged_up_to: mark, revision }) } as unknown as Feed,
    limits: { keepMs, keepRows: 1_000_000 },
    now: () => nowMs,
    elapsed: () => nowMs,
    async write(_, decide) {
      const counters = { purgedUpTo: mark };
      decide({ counters } as MongoRecords);
      for (let id = mark + 1; id <= counters.purgedUpTo; id++) markedAt.set(id, nowMs);
      mark = counters.purgedUpTo;
    },
  });
  return {
    purge,
    tooEarly,
    kept: () => rows.length,
    write(n: number) {
      for (let i = 0; i < n; i++) rows.push({ _id: (revision += 1), at: new Date(nowMs) });
    },
    async pass(ms: number) {
      nowMs += ms;
      while (await purge.step()) continue;
    },
  };
}

describe("purging the feed", () => {
  it("deletes old rows while others grow old each second, and none before every reader has seen the mark", async () => {
    const feed = aFeed(60_000);
    for (let second = 0; second < 600; second++) {
      feed.write(10);
      await feed.pass(1_000);
      // What is kept, what is marked, and what was marked while a mark before it waited.
      expect(feed.kept()).toBeLessThanOrEqual(10 * (60 + (2 * deletedAfterMs) / 1_000 + 3));
    }
    expect(feed.tooEarly).toEqual([]);
  });

  it("is through with many in steps, and leaves the last row", async () => {
    const feed = aFeed(60_000);
    feed.write(12_000);
    await feed.pass(60_001);
    await feed.pass(deletedAfterMs);
    await feed.pass(deletedAfterMs);
    expect(feed.kept()).toBe(1);
    expect(feed.tooEarly).toEqual([]);
  });
});
