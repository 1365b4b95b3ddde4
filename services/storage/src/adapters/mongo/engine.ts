import { AppError } from "@berth/core";
import type { Housekeeping } from "../../app/housekeeping.ts";
import { RetentionClock } from "../../domain/retention-clock.ts";
import type { Engine } from "../../ports/engine.ts";
import { decide } from "./records.ts";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls, Session } from "./calls.ts";
import { commitLoop } from "./commit-loop.ts";
import { DatabaseClock } from "./database-clock.ts";
import { Feed } from "./feed.ts";
import { Folder } from "./fold.ts";
import { prepare } from "./schema.ts";
import { beginLife, giveUpRestored } from "./new-epoch.ts";
import { Hosts } from "./hosts.ts";
import { pageOfElements } from "./list-elements.ts";
import { pageOfTasks } from "./list-tasks.ts";
import { withAppErrors } from "./calls.ts";
import type { MongoOptions } from "./options.ts";
import { Purge } from "./purge.ts";
import { removeLeftovers } from "./leftovers.ts";
import { endedBefore } from "./ended-before.ts";
import type { Place } from "./ended-before.ts";
import { SpecCache } from "./spec-cache.ts";
import { snapshot } from "./snapshot.ts";
import { StaleSessions } from "./stale-sessions.ts";
import { TaskCache } from "./task-cache.ts";
import { transactions } from "./transactions.ts";
import type { Call } from "./transactions.ts";
import { ToLoad } from "./to-load.ts";
import { Work } from "./work.ts";

export interface MongoEngine extends Engine, Housekeeping {
  lastRevision(): number;
  /** Answers what waits and closes its connections. */
  close(): Promise<void>;
}

const dayMs = 86_400_000;
const nothing = () => {};

/** The engine on MongoDB: any number of stores share one database, and one at a time writes. Writes that wait share the next commit of their store. */
export async function mongoEngine(given: MongoCalls, options: MongoOptions = {}): Promise<MongoEngine> {
  const calls = withAppErrors(given);
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
  const retentionClock = new RetentionClock(onClockJump);

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
  const loop = commitLoop<Call>(async (together) => {
    const from = performance.now();
    try {
      const outcomes = await commit(together);
      onCommit(together.length, performance.now() - from);
      return outcomes;
    } catch (error) {
      // An error of a call itself says nothing of the database: nobody may keep hosts from being silent by it.
      if (error instanceof AppError && error.code === "unavailable") hosts.interrupted();
      throw error;
    }
  });

  const write = <T>(foresee: Call["foresee"], fn: (records: MongoRecords) => T, weight = 1): Promise<T> =>
    loop.run({ foresee, decide: fn }, weight) as Promise<T>;
  const foreseeNothing = () => {};
  /** Items that are results of their own. */
  const writeEach = <I, R>(
    items: readonly I[],
    foresee: (toLoad: ToLoad, item: I) => void,
    fn: (records: MongoRecords, item: I) => R,
  ): Promise<R[]> =>
    Promise.all(
      items.map((item) =>
        write(
          (toLoad) => foresee(toLoad, item),
          (records) => fn(records, item),
        ),
      ),
    );

  /** Answers from documents that are read for it; writes nothing. */
  async function inspect<T>(foresee: Call["foresee"], fn: (records: MongoRecords) => T, session?: Session): Promise<T> {
    return answer(new Work(calls, opened, hosts.known, clock.now(), session, specs), foresee, fn);
  }
  async function answer<T>(work: Work, foresee: Call["foresee"], fn: (records: MongoRecords) => T): Promise<T> {
    const toLoad = new ToLoad();
    foresee(toLoad);
    await work.load(toLoad);
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
    write(foreseeNothing, ({ at, counters }) => {
      const { believed, believedAtMs } = retentionClock.look(counters.believedAt, at);
      counters.believedAt = believedAtMs;
      return believed ? at - afterMs : undefined;
    });

  let deletedUpTo: Place | undefined;
  const engine: MongoEngine = {
    epoch,
    write: ({ foresee = foreseeNothing, decide: fn, weight }) => write(foresee, fn, weight),
    writeEach,
    ask: (foresee, fn) => inspect(foresee, fn),
    async askNow(foresee, fn) {
      const writer = await feed.look();
      const known = await hosts.at(writer.hosts_revision);
      return answer(new Work(calls, writer, known, clock.now(), undefined, specs), foresee, fn);
    },
    reserveNumber: () => write(foreseeNothing, (records) => records.nextNumber()),
    async silenceOf(hostId) {
      const isKnown = (await hostsNow()).has(hostId);
      const silentMs = isKnown ? (await hosts.silentMs([hostId])).get(hostId)! : 0;
      return () => silentMs;
    },
    fold: (limit) => folder.step(limit, foldAfterMs),
    async expired(afterMs, limit) {
      const before = await longAgo(afterMs);
      return before === undefined
        ? []
        : (await endedBefore(calls, 0, before, limit)).map(({ key }) => String(Number(key)));
    },
    async deletable(afterMs, limit) {
      const before = await longAgo(afterMs);
      if (before === undefined) return { numbers: [], more: false };
      if (await removeLeftovers(calls)) return { numbers: [], more: true };
      // From where the last step was: what a pending task waits for is stepped over, and holds up nothing behind it.
      const found = await endedBefore(calls, 1, before, limit, deletedUpTo);
      deletedUpTo = found.length === limit ? found.at(-1) : undefined;
      return { numbers: found.map(({ key }) => Number(key)), more: deletedUpTo !== undefined };
    },
    async syncHosts(request) {
      const writer = await lookNow();
      const refused = await hosts.sync(request, writer.hosts_revision, (fn) => write(foreseeNothing, fn));
      return { epoch, term: writer.leases.find(({ name }) => name === "scheduler")?.term ?? 0, refused };
    },
    snapshot: (signal) =>
      snapshot(
        { calls, hosts, token: (seq) => feed.token(seq), inspect: (n, fn, session) => inspect(n, fn, session) },
        signal,
      ),
    changes: (request, signal) => feed.read(request, signal),
    token: async () => feed.token((await feed.look()).revision),
    pageOfTasks: (page) => pageOfTasks({ calls, inspect }, page),
    pageOfElements: (page) => pageOfElements({ calls, inspect }, page),
    listHosts: async () => hosts.list(await hostsNow()),
    async counts(user) {
      const sums = await calls.find("sums", user === "" ? { kind: "count" } : { kind: "count", user });
      return sums.map((sum) => ({ state: Number(sum["state"]), n: Number(sum["n"]) }));
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
  const folder = new Folder(calls, (call, weight) => write(call.foresee, call.decide, weight));
  const lost = await giveUpRestored(calls, opened, write).catch(async (error: unknown) => {
    await feed.close();
    throw error;
  });
  if (before !== undefined) options.onRenewed?.({ epoch, before, lost });
  return engine;
}
