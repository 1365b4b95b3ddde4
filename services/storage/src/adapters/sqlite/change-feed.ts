import type { ChangesRequest, ChangesResponse } from "@berth/contracts/store";
import type { Database } from "@berth/database";
import { formatToken, parseToken } from "../../domain/feed-token.ts";
import { Commits } from "../form/commits.ts";
import { lastRevision, readMeta, writeMeta } from "./meta.ts";

/** Most rows per answer, and most rows of other users that a reader of one user skips per step. */
const rowsAtOnce = 500;
const rowsSkipped = 5_000;

/** Interval of empty answers to a reader without new rows. */
const heartbeatMs = 5_000;

const purgedKey = "purged_up_to";

export interface FeedLimits {
  readonly keepMs: number;
  readonly keepRows: number;
}

/** Reads and purges the feed's rows, and wakes its readers. The rows are written together with the change that they announce. */
export class ChangeFeed {
  readonly #db: Database;
  readonly #epoch: string;
  readonly #limits: FeedLimits;
  readonly #commits = new Commits();
  #last: number;
  #purgedUpTo: number;

  constructor(db: Database, epoch: string, limits: FeedLimits) {
    this.#db = db;
    this.#epoch = epoch;
    this.#limits = limits;
    this.#last = lastRevision(db);
    this.#purgedUpTo = Number(readMeta(db, purgedKey) ?? 0);
  }

  /**
   * Revision of the last committed row; 0 in an empty database. Never a revision that was assigned but not committed: after a restart it is assigned again, and a reader
   * who had it as a token would miss the new row.
   */
  get last(): number {
    return this.#last;
  }

  token(seq = this.#last): string {
    return formatToken({ epoch: this.#epoch, seq });
  }

  /**
   * Call it after each commit. `answersFirst`: the calls are answered before readers are woken. Submits wake readers first, because the scheduler waits for new tasks. Plans are
   * answered first, because hosts wait for their answer.
   */
  committed(answersFirst = false): void {
    this.#last = lastRevision(this.#db);
    this.#commits.tell(answersFirst);
  }

  /** Resolves at the next commit, after `ms` or when aborted. */
  next(signal: AbortSignal, ms?: number, urgent = false): Promise<void> {
    return this.#commits.next(signal, ms, urgent);
  }

  async *read(request: ChangesRequest, signal: AbortSignal): AsyncGenerator<ChangesResponse> {
    const token = parseToken(request.token);
    if (!token || token.epoch !== this.#epoch || token.seq > this.#last) return yield startAgain;
    const select = this.#statement(request);
    const width = request.user === "" ? rowsAtOnce : rowsSkipped;
    let seen = token.seq;
    let toldAt = 0; // a reader that has everything hears so at once, then now and then
    while (!signal.aborted) {
      if (seen < this.#purgedUpTo) return yield startAgain;
      const commits = this.#commits.count;
      const last = this.#last;
      const upTo = Math.min(last, seen + width);
      const rows = seen < upTo ? select(seen, upTo) : [];
      seen = upTo;
      const silentMs = performance.now() - toldAt;
      if (rows.length > 0 || (seen === last && (toldAt === 0 || silentMs >= heartbeatMs))) {
        yield { token: this.token(seen), changes: rows, startAgain: false };
        if (seen === last) toldAt = rows.length > 0 && toldAt === 0 ? 0 : performance.now();
      }
      if (seen < last) await yieldToEventLoop();
      else if (commits === this.#commits.count && toldAt > 0)
        await this.next(signal, Math.max(1, heartbeatMs - (performance.now() - toldAt)), request.urgent);
    }
  }

  #statement({ user, tasksOnly }: ChangesRequest): (from: number, upTo: number) => Buffer[] {
    const range = "SELECT row FROM changes WHERE revision > ? AND revision <= ?";
    const order = "ORDER BY revision";
    const rows = (found: readonly Record<string, unknown>[]) => found.map(({ row }) => asBuffer(row as Uint8Array));
    if (user === "") {
      const statement = this.#db.sql(tasksOnly ? `${range} AND user IS NOT NULL ${order}` : `${range} ${order}`);
      return (from, upTo) => rows(statement.all(from, upTo));
    }
    const statement = this.#db.sql(`${range} AND (user = ? OR (user IS NULL AND ?)) ${order}`);
    return (from, upTo) => rows(statement.all(from, upTo, user, tasksOnly ? 0 : 1));
  }

  /** Whether there are rows to purge: too old, or too many. */
  isPurgeDue(now: number): boolean {
    return this.#dueUpTo(now, 2) >= 0;
  }

  /** Purges a few rows that are due. Call it often, in a transaction. The last row stays, because the next revision is counted from it. */
  purge(now: number, atMost = 2_000): void {
    const upTo = this.#dueUpTo(now, atMost);
    if (upTo < 0) return;
    this.#db.sql("DELETE FROM changes WHERE revision <= ?").run(upTo);
    writeMeta(this.#db, purgedKey, String(upTo));
    // Set before the commit. If the commit fails, some readers start again without need, which is only slower.
    this.#purgedUpTo = upTo;
  }

  /** Revision up to which rows are due, after looking at `atMost` rows; -1 if none is. */
  #dueUpTo(now: number, atMost: number): number {
    const first = Number(this.#db.sql("SELECT min(revision) AS first FROM changes").get()?.["first"] ?? 0);
    if (first === 0) return -1;
    const old = this.#db
      .sql(
        "SELECT max(CASE WHEN at < ? THEN revision ELSE 0 END) AS old FROM (SELECT revision, at FROM changes ORDER BY revision LIMIT ?)",
      )
      .get(now - this.#limits.keepMs, atMost);
    const due = Math.max(this.#last - this.#limits.keepRows, Number(old?.["old"] ?? 0));
    const upTo = Math.min(due, first + atMost - 1, lastRevision(this.#db) - 1);
    return upTo < first ? -1 : upTo;
  }
}

const startAgain: ChangesResponse = { token: "", changes: [], startAgain: true };

export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Yields to the event loop. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
