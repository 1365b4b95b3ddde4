import type { SubmitResult } from "@berth/contracts/store";
import { groupCommit } from "@berth/database";
import type { Database } from "@berth/database";
import { stateOf } from "../../decisions/record/codes.ts";
import type { StoredTask, TaskStore } from "../../ports/task-store.ts";
import { logStateOf, takeEach, visibleTo } from "../../app/store-answers.ts";
import { applyReport } from "../../decisions/take-report.ts";
import { Batch } from "./batch.ts";
import type { Memory } from "./batch.ts";
import { yieldToEventLoop, ChangeFeed } from "./change-feed.ts";
import type { FeedLimits } from "./change-feed.ts";
import { commitPlan } from "../../decisions/plan.ts";
import { epochOf, numberFloor } from "./epoch.ts";
import { Folder } from "./fold.ts";
import { HostTable } from "./host-table.ts";
import { HouseClock } from "./house-clock.ts";
import { acquireLease, releaseLease } from "../../decisions/lease.ts";
import { schedulerTerm } from "./leases.ts";
import { findTask, wholeMessage } from "../../decisions/find-task.ts";
import { listTasks } from "./list-tasks.ts";
import { lookUpRuns } from "../../decisions/look-up.ts";
import { isLossDue, loseRuns } from "../../decisions/lose-runs.ts";
import { requestOne } from "../../decisions/request.ts";
import { archive, deleteRecords, expired, WaitedFor } from "./retention.ts";
import { snapshot } from "./snapshot.ts";
import { submitOne } from "../../decisions/submit.ts";
import { arePagesDue, giveBackPages } from "./free-pages.ts";
import { changeLimit } from "../../decisions/update.ts";

export interface SqliteTaskStoreOptions {
  /** The database's clock. */
  readonly now: () => number;
  /** A clock that cannot be set, in milliseconds from any moment; by default that of timers. */
  readonly steadyMs?: () => number;
  readonly feed?: FeedLimits;
  /** How long ago an element must have ended to be folded; a minute, so that what is asked for most is at hand. */
  readonly foldAfterMs?: number;
  /** Told when the clock jumped ahead: for a while nothing is archived or deleted. */
  readonly onClockJump?: (believedAtMs: number, nowMs: number) => void;
  /** Told of each durable commit: how many calls it holds and how long it took. */
  readonly onCommit?: (items: number, ms: number) => void;
}

export interface SqliteTaskStore extends TaskStore {
  /** Revision of the last change; a reader's token tells how far behind it is. */
  lastRevision(): number;
  /** The largest number of a task that was given out. */
  lastNumber(): number;
  /** Does a small step of what is due now and then; tells whether more is. */
  housekeeping(): Promise<boolean>;
  /** Commits what waits, folds the log into the database and closes it. */
  close(): void;
}

const dayMs = 86_400_000;

/** How many tasks of one call go into one transaction: each is a result of its own, and others have their turn between. */
const submitsAtOnce = 256;
const requestsAtOnce = 256;

/** The truth in SQLite: one process, one writer; everything of one turn of the event loop in one commit. */
export function sqliteTaskStore(db: Database, options: SqliteTaskStoreOptions): SqliteTaskStore {
  const { now, foldAfterMs = 60_000, onClockJump = () => {} } = options;
  const epoch = epochOf(db, now());
  const feed = new ChangeFeed(db, epoch, options.feed ?? { keepMs: dayMs, keepRows: 1_000_000 });
  const hosts = new HostTable(db, now(), options.steadyMs ?? (() => performance.now()));
  const folder = new Folder(db);
  const clock = new HouseClock(db, onClockJump);
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

  /** To answer a question; nothing is written. */
  const look = (): Batch => new Batch(db, memory, now());

  /** One write: its own savepoint in the transaction that it shares, answered after the commit. */
  const write = <T>(fn: (batch: Batch) => T, tasks = 1): Promise<T> =>
    commit.run(() => {
      const batch = new Batch(db, memory, now());
      const result = fn(batch);
      batch.flush();
      return result;
    }, tasks);

  /** The same for items that are results of their own: so many in a transaction that none is long. */
  async function writeEach<I, R>(items: readonly I[], atOnce: number, fn: (batch: Batch, item: I) => R): Promise<R[]> {
    const results: R[] = [];
    for (let at = 0; at < items.length; at += atOnce) {
      const some = items.slice(at, at + atOnce);
      results.push(...(await write((batch) => some.map((item) => fn(batch, item)), some.length)));
    }
    return results;
  }

  return {
    epoch,
    reserveId: async () => (counters.number += 1),
    submit: (tasks: readonly StoredTask[]): Promise<SubmitResult[]> =>
      writeEach(tasks, submitsAtOnce, (batch, task) => submitOne(batch, task)),
    commitPlan: (plan) =>
      write((batch) => {
        hasPlan = true;
        return commitPlan(batch, epoch, plan);
      }, plan.placements.length + plan.ends.length),
    async applyReports({ reports }) {
      return takeEach(reports, (report) => write((batch) => applyReport(batch, epoch, report), report.statuses.length));
    },
    async request(request) {
      return {
        results: await writeEach(request.taskIds, requestsAtOnce, (batch, id) => requestOne(batch, id, request)),
      };
    },
    async updateTask(request) {
      await write((batch) => changeLimit(batch, request));
      const batch = look();
      return wholeMessage(batch, findTask(batch, request.taskId)!);
    },
    async loseRuns(request) {
      if (!isLossDue(look(), hosts.silentMs(request.hostId, now()), request)) return { retried: [], lost: [] };
      let declared = () => {};
      const response = await write((batch) => {
        const given = loseRuns(batch, epoch, hosts.silentMs(request.hostId, batch.at), request);
        if (request.by !== "") declared = hosts.declareLost(batch, request.hostId, request.by);
        return given;
      });
      declared();
      return response;
    },
    fold: (limit) => write((batch) => folder.step(limit, batch.at - foldAfterMs), limit),
    expired: (afterMs, limit) =>
      write((batch) => (clock.believes(batch.at) ? expired(db, batch.at - afterMs, limit) : [])),
    archive: (taskIds) => write((batch) => archive(db, batch, taskIds), taskIds.length),
    deleteRecords: (afterMs, limit) =>
      write(
        (batch) =>
          clock.believes(batch.at)
            ? deleteRecords(db, batch, waitedFor, batch.at - afterMs, limit)
            : { done: 0, more: false },
        limit,
      ),
    async syncHosts(request) {
      const { refused, news } = hosts.see(request, now());
      if (news) (await write((batch) => hosts.write(batch, news.changed, news.silent)))();
      return { epoch, term: schedulerTerm(db), refused };
    },
    acquireLease: (request) => write((batch) => acquireLease(batch, request)),
    releaseLease: (request) => write((batch) => releaseLease(batch, request)),
    snapshot: (signal) => snapshot(db, look, feed, hosts, epoch, signal),
    changes: (request, signal) => feed.read(request, signal),
    async get({ taskId, user }) {
      const batch = look();
      return wholeMessage(batch, visibleTo(user, taskId, findTask(batch, taskId)));
    },
    async list(request) {
      const watchToken = feed.token();
      return { ...listTasks(db, look(), request), watchToken };
    },
    lookUpRuns: async (request) => lookUpRuns(look(), epoch, request),
    listHosts: async () => hosts.list(),
    async countTasks({ user }) {
      const rows = db.sql("SELECT state, sum(n) AS n FROM task_counts WHERE ? IN ('', user) GROUP BY state").all(user);
      return { byState: Object.fromEntries(rows.map((row) => [stateOf(Number(row["state"])), Number(row["n"])])) };
    },
    async logState(taskId) {
      const found = findTask(look(), taskId);
      return found && logStateOf(found);
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
