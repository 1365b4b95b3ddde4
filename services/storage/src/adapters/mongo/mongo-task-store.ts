import { AppError } from "@berth/core";
import type { LoseRunsResponse, SubmitResult } from "@berth/contracts/store";
import { stateOf } from "../../decisions/record/codes.ts";
import { changeLimit } from "../../decisions/update.ts";
import type { TaskStore } from "../../ports/task-store.ts";
import { logStateOf, takeEach, visibleTo } from "../../app/store-answers.ts";
import { applyReport, reportNeeds } from "../../decisions/take-report.ts";
import { decide } from "./batch.ts";
import type { Batch } from "./batch.ts";
import type { MongoCalls, Session } from "./calls.ts";
import { commitLoop } from "./commit-loop.ts";
import { DatabaseClock } from "./database-clock.ts";
import { answering } from "./answering.ts";
import { Feed } from "./feed.ts";
import { findNeeds, findTask, wholeMessage, wholeNeeds } from "../../decisions/find-task.ts";
import type { Found } from "../../decisions/record/task-message.ts";
import { Folder } from "./fold.ts";
import { prepare } from "./schema.ts";
import { beginLife, giveUpRestored } from "./new-epoch.ts";
import { Hosts } from "./hosts.ts";
import { acquireLease, releaseLease } from "../../decisions/lease.ts";
import { listTasks } from "./list-tasks.ts";
import { lookUpNeeds, lookUpRuns } from "../../decisions/look-up.ts";
import { loseRuns } from "../../decisions/lose-runs.ts";
import type { MongoTaskStoreOptions } from "./options.ts";
import { commitPlan, planNeeds } from "../../decisions/plan.ts";
import { Purge } from "./purge.ts";
import { requestNeeds, requestOne } from "../../decisions/request.ts";
import { removeLeftovers } from "./leftovers.ts";
import { archiveNeeds, archiveOne, HouseClock, deleteNeeds, deleteOne, endedBefore } from "./retention.ts";
import type { Place } from "./retention.ts";
import { SpecCache } from "./spec-cache.ts";
import { snapshot } from "./snapshot.ts";
import { StaleSessions } from "./stale-sessions.ts";
import { submitNeeds, submitOne } from "../../decisions/submit.ts";
import { TaskCache } from "./task-cache.ts";
import { transactions } from "./transactions.ts";
import type { Call } from "./transactions.ts";
import { Needs } from "./needs.ts";
import { Work } from "./work.ts";

export interface MongoTaskStore extends TaskStore {
  lastRevision(): number;
  /** Does a small step of what is due now and then; tells whether more is. */
  housekeeping(): Promise<boolean>;
  /** Answers what waits and closes its connections. */
  close(): Promise<void>;
}

const dayMs = 86_400_000;
const nothing = () => {};

/** The truth in MongoDB: any number of stores on one database, of which one at a time writes; what waits meanwhile shares its next commit. */
export async function mongoTaskStore(calls: MongoCalls, options: MongoTaskStoreOptions = {}): Promise<MongoTaskStore> {
  const { foldAfterMs = 60_000, onClockJump = nothing, onCommit = nothing, onRetry = nothing } = options;
  const limits = options.feed ?? { keepMs: dayMs, keepRows: 1_000_000 };
  const { now } = options;
  const clock = new DatabaseClock(now && { now, steadyMs: options.steadyMs ?? now });
  const { writer: found, copy } = await prepare(calls, clock, options.now);
  const { writer: opened, before } = await beginLife(calls, found, options.newEpoch ?? "", clock.now());
  const { epoch } = opened;
  const feed = new Feed(calls, opened, options.onStream ?? nothing);
  const hosts = new Hosts(calls, clock);
  clock.onSet = () => hosts.interrupted();
  const specs = new SpecCache();
  const houseClock = new HouseClock(onClockJump);

  const staleSessions = new StaleSessions(calls, copy, clock);
  const commit = transactions({
    calls,
    epoch,
    copy,
    now: options.now,
    specs,
    tasks: new TaskCache(),
    staleSessions,
    hosts: (revision, session) => hosts.at(revision, session),
    committed({ revision, hosts: changed, rows, atMs }) {
      clock.said(atMs);
      hosts.changed(changed);
      feed.committed(revision, rows);
      feed.wake();
    },
    onRetry,
    patienceMs: options.patienceMs ?? 10_000,
  });
  const loop = commitLoop<Call>(async (batch) => {
    const from = performance.now();
    try {
      const outcomes = await commit(batch);
      onCommit(batch.length, performance.now() - from);
      return outcomes;
    } catch (error) {
      // An error of a call itself says nothing of the database: nobody may keep hosts from being silent by it.
      if (error instanceof AppError && error.code === "unavailable") hosts.interrupted();
      throw error;
    }
  });

  const write = <T>(needs: Call["needs"], fn: (batch: Batch) => T, weight = 1): Promise<T> =>
    loop.run({ needs, decide: fn }, weight) as Promise<T>;
  const needNothing = () => {};
  /** Items that are results of their own. */
  const writeEach = <I, R>(
    items: readonly I[],
    needs: (needs: Needs, item: I) => void,
    fn: (batch: Batch, item: I) => R,
  ): Promise<R[]> =>
    Promise.all(
      items.map((item) =>
        write(
          (all) => needs(all, item),
          (batch) => fn(batch, item),
        ),
      ),
    );

  /** Answers from documents that are read for it; writes nothing. */
  async function inspect<T>(needs: Call["needs"], fn: (batch: Batch) => T, session?: Session): Promise<T> {
    return answer(new Work(calls, opened, hosts.known, clock.now(), session, specs), needs, fn);
  }
  async function answer<T>(work: Work, needs: Call["needs"], fn: (batch: Batch) => T): Promise<T> {
    const all = new Needs();
    needs(all);
    await work.load(all);
    return decide(work, fn);
  }
  /** The writer document; a commit of another copy tells the time, too. */
  async function lookNow() {
    const writer = await feed.look();
    clock.saidBefore(writer.at.getTime());
    return writer;
  }
  const hostsNow = async () => hosts.at((await lookNow()).hosts_revision);
  /** So long ago by a clock that is believed; undefined while it is not. */
  const longAgo = (afterMs: number): Promise<number | undefined> =>
    write(needNothing, (batch) => (houseClock.believes(batch) ? batch.at - afterMs : undefined));
  async function look(taskId: string): Promise<Found | undefined> {
    return inspect(
      (needs) => findNeeds(needs, taskId),
      (batch) => findTask(batch, taskId),
    );
  }

  let deletedUpTo: Place | undefined;
  const store: MongoTaskStore = {
    epoch,
    reserveId: () => write(needNothing, (batch) => batch.nextNumber()),
    submit: (tasks): Promise<SubmitResult[]> => writeEach(tasks, submitNeeds, submitOne),
    commitPlan: (plan) =>
      write(
        (needs) => planNeeds(needs, plan),
        (batch) => commitPlan(batch, epoch, plan),
        plan.placements.length + plan.ends.length,
      ),
    async applyReports({ reports }) {
      // A host's own call: one that cannot be taken in does not keep the others' from being committed.
      return takeEach(reports, (report) =>
        write(
          (needs) => reportNeeds(needs, epoch, report),
          (batch) => applyReport(batch, epoch, report),
          report.statuses.length,
        ),
      );
    },
    request: async (request) => ({
      results: await writeEach(request.taskIds, requestNeeds, (batch, id) => requestOne(batch, id, request)),
    }),
    async updateTask(request) {
      await write(
        (needs) => requestNeeds(needs, request.taskId),
        (batch) => changeLimit(batch, request),
      );
      return store.get({ taskId: request.taskId, user: "" });
    },
    async loseRuns(request): Promise<LoseRunsResponse> {
      const isKnown = (await hostsNow()).has(request.hostId);
      const silentMs = isKnown ? (await hosts.silentMs([request.hostId])).get(request.hostId)! : 0;
      return write(
        (needs) => needs.hosts.add(request.hostId),
        (batch) => {
          const given = loseRuns(batch, epoch, silentMs, request);
          if (request.by !== "") hosts.declareLost(batch, request.hostId, request.by);
          return given;
        },
      );
    },
    fold: (limit) => folder.step(limit, foldAfterMs),
    async expired(afterMs, limit) {
      const before = await longAgo(afterMs);
      return before === undefined
        ? []
        : (await endedBefore(calls, 0, before, limit)).map(({ key }) => String(Number(key)));
    },
    archive: async (taskIds) => (await writeEach(taskIds, archiveNeeds, archiveOne)).filter(Boolean).length,
    async deleteRecords(afterMs, limit) {
      const before = await longAgo(afterMs);
      if (before === undefined) return { done: 0, more: false };
      if (await removeLeftovers(calls)) return { done: 0, more: true };
      // From where the last step was: what a pending task waits for is stepped over, and holds up nothing behind it.
      const found = await endedBefore(calls, 1, before, limit, deletedUpTo);
      deletedUpTo = found.length === limit ? found.at(-1) : undefined;
      const numbers = found.map(({ key }) => Number(key));
      const done = (await writeEach(numbers, deleteNeeds, deleteOne)).filter(Boolean).length;
      return { done, more: deletedUpTo !== undefined };
    },
    async syncHosts(request) {
      const writer = await lookNow();
      const refused = await hosts.sync(request, writer.hosts_revision, (fn) => write(needNothing, fn));
      return { epoch, term: writer.leases.find(({ name }) => name === "scheduler")?.term ?? 0, refused };
    },
    acquireLease: (request) => write(needNothing, (batch) => acquireLease(batch, request)),
    releaseLease: (request) => write(needNothing, (batch) => releaseLease(batch, request)),
    snapshot: (signal) =>
      snapshot(
        { calls, hosts, token: (seq) => feed.token(seq), inspect: (n, fn, session) => inspect(n, fn, session) },
        signal,
      ),
    changes: (request, signal) => feed.read(request, signal),
    get: ({ taskId, user }) =>
      inspect(
        (needs) => wholeNeeds(needs, taskId),
        (batch) => wholeMessage(batch, visibleTo(user, taskId, findTask(batch, taskId))),
      ),
    async list(request) {
      const watchToken = feed.token((await feed.look()).revision);
      return { ...(await listTasks({ calls, inspect }, request)), watchToken };
    },
    async lookUpRuns(request) {
      const writer = await feed.look();
      const work = new Work(calls, writer, await hosts.at(writer.hosts_revision), clock.now(), undefined, specs);
      return answer(
        work,
        (needs) => lookUpNeeds(needs, epoch, request),
        (batch) => lookUpRuns(batch, epoch, request),
      );
    },
    listHosts: async () => hosts.list(await hostsNow()),
    async countTasks({ user }) {
      const sums = await calls.find("sums", user === "" ? { kind: "count" } : { kind: "count", user });
      const byState: Record<string, number> = {};
      for (const sum of sums) {
        const state = stateOf(Number(sum["state"]));
        byState[state] = (byState[state] ?? 0) + Number(sum["n"]);
      }
      return { byState };
    },
    async logState(taskId) {
      const task = await look(taskId);
      return task && logStateOf(task);
    },
    nextCommit: (signal, ms) => feed.next(signal, ms),
    lastRevision: () => feed.last,
    housekeeping: () => purge.step(),
    async close() {
      await loop.close();
      await hosts.close().catch(nothing);
      await feed.close();
      await staleSessions.endLeft().catch(nothing);
      await calls.close();
    },
  };
  const purge = new Purge({ calls, feed, limits, now: () => clock.now(), write });
  const folder = new Folder(calls, (call, weight) => write(call.needs, call.decide, weight));
  const lost = await giveUpRestored(calls, opened, write).catch(async (error: unknown) => {
    await feed.close();
    throw error;
  });
  if (before !== undefined) options.onRenewed?.({ epoch, before, lost });
  return answering(store);
}
