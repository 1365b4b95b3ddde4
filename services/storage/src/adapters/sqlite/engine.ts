import { groupCommit } from "@berth/database";
import type { Database } from "@berth/database";
import type { Housekeeping } from "../../app/housekeeping.ts";
import type { Engine } from "../../ports/engine.ts";
import type { Records } from "../../ports/records.ts";
import { SqliteRecords } from "./records.ts";
import type { Memory } from "./records.ts";
import { yieldToEventLoop, ChangeFeed } from "./change-feed.ts";
import type { FeedLimits } from "./change-feed.ts";
import { epochOf, numberFloor } from "./epoch.ts";
import { Folder } from "./fold.ts";
import { HostTable } from "./host-table.ts";
import { KeptRetentionClock } from "./retention-clock.ts";
import { schedulerTerm } from "./leases.ts";
import { pageOfElements } from "./list-elements.ts";
import { pageOfTasks } from "./list-tasks.ts";
import { deletable, expired, WaitedFor } from "./retention.ts";
import { snapshot } from "./snapshot.ts";
import { arePagesDue, giveBackPages } from "./free-pages.ts";

export interface SqliteOptions {
  /** The database's clock. */
  readonly now: () => number;
  /** Milliseconds of a monotonic clock; by default the clock of timers. */
  readonly steadyMs?: () => number;
  readonly feed?: FeedLimits;
  /** How long ago an element must have ended to be folded. A minute by default, because recent elements are read most often. */
  readonly foldAfterMs?: number;
  /** Called when the clock jumped ahead. Nothing is archived or deleted for a while then. */
  readonly onClockJump?: (believedAtMs: number, nowMs: number) => void;
  /** Called after each durable commit with the number of its calls and its duration. */
  readonly onCommit?: (items: number, ms: number) => void;
}

export interface SqliteEngine extends Engine, Housekeeping {
  /** Revision of the last change; a reader's token tells how far behind it is. */
  lastRevision(): number;
  /** The largest task number assigned so far. */
  lastNumber(): number;
  /** Commits what waits, folds the log into the database and closes it. */
  close(): void;
}

const dayMs = 86_400_000;

/** Most items of one call per transaction. Each item has its own result, and other calls run in between. */
const itemsAtOnce = 256;

/** The engine on SQLite: one process, one writer; all writes of one turn of the event loop share a commit. */
export function sqliteEngine(db: Database, options: SqliteOptions): SqliteEngine {
  const { now, foldAfterMs = 60_000, onClockJump = () => {} } = options;
  const epoch = epochOf(db, now());
  const feed = new ChangeFeed(db, epoch, options.feed ?? { keepMs: dayMs, keepRows: 1_000_000 });
  const hosts = new HostTable(db, now(), options.steadyMs ?? (() => performance.now()));
  const folder = new Folder(db);
  const clock = new KeptRetentionClock(db, onClockJump);
  const waitedFor = new WaitedFor(db);
  const stored = Number(db.sql("SELECT max(number) AS last FROM specs").get()?.["last"] ?? 0);
  const counters = { revision: feed.last, number: Math.max(stored, numberFloor(db)) };
  const memory: Memory = { counters, hosts, waitedFor };
  let hasPlan = false;
  const commit = groupCommit(db, {
    onCommit(items, ms) {
      feed.committed(hasPlan);
      hasPlan = false;
      options.onCommit?.(items, ms);
    },
  });

  /** For a read-only question. */
  const look = (): SqliteRecords => new SqliteRecords(db, memory, now());
  const ask: Engine["ask"] = async (_, decide) => decide(look());

  /** One write, in its own savepoint of a shared transaction. It is answered after the commit. */
  async function write<T>(fn: (records: SqliteRecords) => T, weight = 1): Promise<T> {
    let records!: SqliteRecords;
    const result = await commit.run(() => {
      records = new SqliteRecords(db, memory, now());
      const decided = fn(records);
      records.flush();
      return decided;
    }, weight);
    records.committed();
    return result;
  }

  return {
    epoch,
    write({ decide, weight, isUrgent = false }) {
      if (!isUrgent) return write(decide, weight);
      return write((records) => {
        hasPlan = true;
        return decide(records);
      }, weight);
    },
    async writeEach<I, R>(items: readonly I[], _: unknown, decide: (records: Records, item: I) => R): Promise<R[]> {
      const results: R[] = [];
      for (let at = 0; at < items.length; at += itemsAtOnce) {
        const some = items.slice(at, at + itemsAtOnce);
        results.push(...(await write((records) => some.map((item) => decide(records, item)), some.length)));
      }
      return results;
    },
    ask,
    askNow: ask,
    reserveNumber: async () => (counters.number += 1),
    silenceOf: async (hostId) => (at) => hosts.silentMs(hostId, at),
    fold: (limit) => write((records) => folder.step(limit, records.at - foldAfterMs), limit),
    expired: (afterMs, limit) =>
      write((records) => (clock.believes(records.at) ? expired(db, records.at - afterMs, limit) : [])),
    deletable: (afterMs, limit) =>
      write(
        (records) =>
          clock.believes(records.at)
            ? deletable(db, waitedFor, records.at - afterMs, limit)
            : { numbers: [], more: false },
        limit,
      ),
    async syncHosts(request) {
      const { refused, news } = hosts.see(request, now());
      if (news) await write((records) => hosts.write(records, news));
      return { epoch, term: schedulerTerm(db), refused: [...refused] };
    },
    snapshot: (signal) => snapshot(db, look, feed, hosts, epoch, signal),
    changes: (request, signal) => feed.read(request, signal),
    token: async () => feed.token(),
    pageOfTasks: async (page) => pageOfTasks(db, look(), page),
    pageOfElements: async (page) => pageOfElements(db, page),
    listHosts: async () => hosts.list(),
    async counts(user) {
      const rows = db.sql("SELECT state, sum(n) AS n FROM task_counts WHERE ? IN ('', user) GROUP BY state").all(user);
      return rows.map((row) => ({ state: Number(row["state"]), n: Number(row["n"]) }));
    },
    nextCommit: (signal, ms) => feed.next(signal, ms),
    lastRevision: () => feed.last,
    lastNumber: () => counters.number,
    async housekeeping() {
      if (feed.isPurgeDue(now())) {
        await write(() => feed.purge(now()));
        await yieldToEventLoop();
        return feed.isPurgeDue(now());
      }
      return arePagesDue(db) && write(() => giveBackPages(db));
    },
    close() {
      commit.close();
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
    },
  };
}
