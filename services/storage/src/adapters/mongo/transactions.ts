import { AppError, commitFailed } from "@berth/core";
import { sleep } from "@berth/runtime";
import type { MongoRecords } from "./records.ts";
import { decide } from "./records.ts";
import type { MongoCalls, Session } from "./calls.ts";
import type { HostDoc, WriterDoc } from "./collections.ts";
import type { Outcome } from "./commit-loop.ts";
import type { FeedRow } from "./changes.ts";
import { epochChanged, isDuplicateKey, isPassing, isTransient, isUnanswered, isUnknownCommit } from "./errors.ts";
import { ToLoad } from "./to-load.ts";
import type { SpecCache } from "./spec-cache.ts";
import type { StaleSessions } from "./stale-sessions.ts";
import type { TaskCache } from "./task-cache.ts";
import { Work } from "./work.ts";

/** One call: which documents it needs, and its decision. The decision may run several times; only its last result counts. */
export interface Call {
  readonly foresee: (toLoad: ToLoad) => void;
  readonly decide: (records: MongoRecords) => unknown;
}

export interface TransactionDeps {
  readonly calls: MongoCalls;
  readonly epoch: string;
  /** Names this store among those of the same database. */
  readonly copy: string;
  /** The database's clock where a test moves it; its own without. */
  readonly now: (() => number) | undefined;
  readonly specs: SpecCache;
  readonly tasks: TaskCache;
  readonly staleSessions: StaleSessions;
  /** The hosts as they are at that revision. */
  hosts(revision: number, session: Session | undefined): Promise<ReadonlyMap<string, HostDoc>>;
  /** Told of each durable commit. */
  committed(writer: {
    readonly revision: number;
    readonly rows: readonly FeedRow[];
    readonly hosts: ReadonlyMap<string, HostDoc>;
    readonly atMs: number;
  }): void;
  /** A transaction had to be begun again, or its end became known only by reading it back. */
  onRetry(why: "conflict" | "unknown"): void;
  readonly patienceMs: number;
}

const copyForgottenMs = 86_400_000;
/** If another store wrote in the last minute, pause after each write. Without the pause a store that lost the race would starve. */
const neighbourMs = 60_000;
const longestPauseMs = 15;

/**
 * Commits calls in one transaction that no other store's can overlap, because its first write is the writer document. The server refuses a second store there at
 * once (a write conflict); that store has written nothing, and tries again.
 *
 * If the result of a commit is unknown, the next transaction reads it from the writer document: while we hold that document's lock, no older transaction can
 * still be open. Throws `unavailable` COMMIT_FAILED (nothing is stored) or COMMIT_UNKNOWN.
 */
export function transactions(deps: TransactionDeps) {
  let seq = 0;
  let notBefore = 0;

  return async function commit(batch: readonly Call[]): Promise<readonly Outcome[]> {
    seq += 1;
    const mine = seq;
    const until = performance.now() + deps.patienceMs;
    let unknown: Outcome[] | undefined;
    if (performance.now() < notBefore) await sleep(notBefore - performance.now());
    for (let tries = 1; ; tries++) {
      const attempt = new Attempt(deps, mine, batch);
      try {
        const outcomes = await attempt.run(unknown);
        deps.staleSessions.wentOn();
        notBefore = attempt.hasNeighbours ? performance.now() + 1 + 2 * Math.random() : 0;
        return outcomes;
      } catch (error) {
        // Also if the server answers NoSuchTransaction: a server that restarted may have forgotten a transaction that it committed.
        if (attempt.mayBeStored) unknown = attempt.outcomes;
        const again =
          attempt.mayBeStored ||
          isTransient(error) ||
          isUnknownCommit(error) ||
          isPassing(error) ||
          isDuplicateKey(error);
        if (!again || (isDuplicateKey(error) && tries > 5)) throw error;
        if (performance.now() > until) throw gaveUp(unknown !== undefined, error);
        deps.onRetry(unknown ? "unknown" : "conflict");
        if (tries > 3) await deps.staleSessions.look().catch(() => {}); // where nobody answers, nothing is left open
        await sleep(1 + Math.random() * Math.min(longestPauseMs, 2 ** tries));
      }
    }
  };
}

const gaveUp = (isUnknown: boolean, cause: unknown) =>
  isUnknown
    ? new AppError("unavailable", "COMMIT_UNKNOWN", "the database did not say whether it committed", { cause })
    : commitFailed(cause);

/** One try at a transaction. */
class Attempt {
  readonly outcomes: Outcome[] = [];
  hasNeighbours = false;
  /** From the moment when its commit is asked for. */
  mayBeStored = false;
  readonly #deps: TransactionDeps;
  readonly #seq: number;
  readonly #batch: readonly Call[];

  constructor(deps: TransactionDeps, seq: number, batch: readonly Call[]) {
    this.#deps = deps;
    this.#seq = seq;
    this.#batch = batch;
  }

  /** `unknown`: the results of an earlier try that may have been committed. */
  async run(unknown: readonly Outcome[] | undefined): Promise<readonly Outcome[]> {
    const { calls, staleSessions } = this.#deps;
    const session = calls.session();
    try {
      await staleSessions.publish(session);
      calls.begin(session);
      try {
        const writer = await this.#take(session);
        if (unknown && (writer.copies[this.#deps.copy]?.seq ?? 0) >= this.#seq) {
          // Commit this read as well: only that proves that a majority has what we read.
          await calls.commit(session);
          this.#deps.committed({ revision: writer.revision, hosts: new Map(), rows: [], atMs: writer.at.getTime() });
          return unknown;
        }
        await this.#write(session, writer);
      } catch (error) {
        if (isUnanswered(error)) staleSessions.leave(session);
        if (!this.mayBeStored) await calls.abort(session).catch(() => {}); // it ends by itself, too
        throw error;
      }
      return this.outcomes;
    } finally {
      await calls.end(session).catch(() => {});
    }
  }

  async #take(session: Session): Promise<WriterDoc> {
    const { calls, now, epoch } = this.#deps;
    const at = now ? new Date(now()) : "$$NOW";
    const writer = await calls.findOneAndUpdate("meta", { _id: "writer" }, [{ $set: { at } }], session);
    if (!writer) throw new AppError("internal", "DATABASE_EMPTIED", "the database's writer document is gone");
    const taken = writer as unknown as WriterDoc;
    // The database was restored while we ran, so all that we remember is of another epoch.
    if (taken.epoch !== epoch) throw epochChanged(taken.epoch, epoch);
    return taken;
  }

  async #write(session: Session, writer: WriterDoc): Promise<void> {
    const { calls, hosts, specs, tasks, committed } = this.#deps;
    this.hasNeighbours = Object.entries(writer.copies).some(
      ([id, { at }]) => id !== this.#deps.copy && writer.at.getTime() - at.getTime() < neighbourMs,
    );
    const work = new Work(
      calls,
      writer,
      await hosts(writer.hosts_revision, session),
      writer.at.getTime(),
      session,
      specs,
      tasks.at(writer.turn),
    );
    const toLoad = new ToLoad();
    for (const call of this.#batch) call.foresee(toLoad);
    await work.load(toLoad);
    for (const call of this.#batch) {
      try {
        this.outcomes.push({ value: await decide(work, call.decide) });
      } catch (failure) {
        if (isTransient(failure) || isPassing(failure)) throw failure; // the database's own: the transaction's matter
        this.outcomes.push({ failure });
      }
    }
    for (const [name, writes] of work.writes()) await calls.bulkWrite(name, writes, session);
    await calls.bulkWrite(
      "meta",
      [{ updateOne: { filter: { _id: "writer" as never }, update: this.#next(writer, work) } }],
      session,
    );
    this.mayBeStored = true;
    await calls.commit(session);
    specs.remember(work.specs);
    tasks.remember(writer.turn + 1, work.tasks);
    committed({
      revision: work.counters.revision,
      hosts: work.changes.hosts,
      rows: work.changes.rows,
      atMs: work.at,
    });
  }

  #next(writer: WriterDoc, work: Work): Record<string, unknown> {
    const { copy } = this.#deps;
    const { counters, changes, at } = work;
    const forgotten = Object.entries(writer.copies).filter(
      ([id, { at: seen }]) => id !== copy && at - seen.getTime() > copyForgottenMs,
    );
    const hostsRevision = Math.max(writer.hosts_revision, ...[...changes.hosts.values()].map((host) => host.revision));
    return {
      $set: {
        revision: counters.revision,
        number: counters.number,
        purged_up_to: counters.purgedUpTo,
        hosts_revision: hostsRevision,
        ...(counters.believedAt === undefined ? {} : { believed_at: counters.believedAt }),
        ...(changes.leases.size > 0 ? { leases: work.leases() } : {}),
        [`copies.${copy}`]: { seq: this.#seq, at: new Date(at) },
      },
      $inc: { turn: 1 },
      ...(forgotten.length > 0 ? { $unset: Object.fromEntries(forgotten.map(([id]) => [`copies.${id}`, ""])) } : {}),
    };
  }
}
