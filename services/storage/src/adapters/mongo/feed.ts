import type { ChangesRequest, ChangesResponse } from "@berth/contracts/store";
import { sleep } from "@berth/runtime";
import { formatToken, parseToken } from "../../domain/feed-token.ts";
import { Commits } from "../form/commits.ts";
import { RecentRows } from "./recent-rows.ts";
import type { FeedRow } from "./changes.ts";
import type { MongoCalls, Watch } from "./calls.ts";
import type { WriterDoc } from "./collections.ts";
import { epochChanged } from "./errors.ts";
import { bytes } from "./spec-doc.ts";

/** Most revisions per answer; and most that a reader of one user's rows skips per query, because they are other users'. */
const rowsAtOnce = 500;
const rowsSkipped = 5_000;

/** Without changes, each reader gets an empty part once per interval. */
const heartbeatMs = 5_000;

/** How often the writer document is read while a change stream is open, and while there is none. */
const lookMs = 1_000;
const lookUnwatchedMs = 100;
/** A store reads the purge mark again once its copy is this old. Rows are deleted only later than that after they were marked. */
const viewTrustedMs = 5_000;
export const deletedAfterMs = 30_000;
const watchAgainMs = 5_000;

export interface FeedLimits {
  readonly keepMs: number;
  readonly keepRows: number;
}

/** The feed's rows are written with what they announce, in commit order; here is reading and waking. What others commit is told by a change stream, or seen by looking. */
export class Feed {
  readonly #calls: MongoCalls;
  readonly #epoch: string;
  readonly #onStream: (isThere: boolean) => void;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];
  readonly #recent = new RecentRows();
  readonly #commits = new Commits();
  #last: number;
  #purgedUpTo: number;
  #viewedAt = performance.now();
  #isWatched = false;
  #watch: Watch | undefined;

  constructor(calls: MongoCalls, writer: WriterDoc, onStream: (isThere: boolean) => void) {
    this.#calls = calls;
    this.#epoch = writer.epoch;
    this.#onStream = onStream;
    this.#last = writer.revision;
    this.#purgedUpTo = writer.purged_up_to;
    this.#loops = [this.#lookNowAndThen(), this.#beWoken()];
  }

  /** The largest revision that is known to be committed. */
  get last(): number {
    return this.#last;
  }

  token(seq: number): string {
    return formatToken({ epoch: this.#epoch, seq });
  }

  /** The writer document as a majority has it, read after this call. */
  async look(): Promise<WriterDoc> {
    const [found] = await this.#calls.find("meta", { _id: "writer" });
    const writer = found as unknown as WriterDoc;
    if (writer.epoch !== this.#epoch) throw epochChanged(writer.epoch, this.#epoch);
    this.#viewedAt = performance.now();
    this.#purgedUpTo = Math.max(this.#purgedUpTo, writer.purged_up_to);
    this.committed(writer.revision);
    return writer;
  }

  /** `rows`: those of a commit of our own. */
  committed(last: number, rows: readonly FeedRow[] = []): void {
    this.#recent.remember(rows);
    if (last <= this.#last) return;
    this.#last = last;
    this.wake();
  }

  /** Wakes readers after a commit, also one without a row in the feed. */
  wake(): void {
    this.#commits.tell();
  }

  /** Resolves at the next commit, after `ms` or when aborted. */
  next(signal: AbortSignal, ms: number): Promise<void> {
    return this.#commits.next(signal, ms);
  }

  async *read(request: ChangesRequest, signal: AbortSignal): AsyncGenerator<ChangesResponse> {
    const token = parseToken(request.token);
    // Another store may have issued this token, so its revision may be newer than the last one that we know.
    if (token && token.seq > this.#last) await this.look();
    if (!token || token.epoch !== this.#epoch || token.seq > this.#last) return yield startAgain;
    const width = request.user === "" ? rowsAtOnce : rowsSkipped;
    let seen = token.seq;
    let toldAt = 0; // a reader that has everything hears so at once, then now and then
    while (!signal.aborted) {
      if (performance.now() - this.#viewedAt > viewTrustedMs || toldAt === 0) await this.look();
      if (seen < this.#purgedUpTo) return yield startAgain;
      const commits = this.#commits.count;
      const last = this.#last;
      const upTo = Math.min(last, seen + width);
      const rows = seen < upTo ? await this.#rows(seen, upTo, request) : [];
      seen = upTo;
      const silentMs = performance.now() - toldAt;
      if (rows.length > 0 || (seen === last && (toldAt === 0 || silentMs >= heartbeatMs))) {
        yield { token: this.token(seen), changes: rows, startAgain: false };
        if (seen === last) toldAt = rows.length > 0 && toldAt === 0 ? 0 : performance.now();
      }
      if (seen === last && commits === this.#commits.count && toldAt > 0)
        await this.next(signal, Math.max(1, heartbeatMs - (performance.now() - toldAt)));
    }
  }

  async #rows(from: number, upTo: number, request: ChangesRequest): Promise<Buffer[]> {
    const known = this.#recent.between(from, upTo);
    if (known) return known.filter(wantedBy(request)).map(({ row }) => row);
    const range = { _id: { $gt: from, $lte: upTo } };
    // A reader of one user leaps over the others' rows; what all may want is read whole, once.
    const filter = request.user === "" ? range : { ...range, ...filterOf(request) };
    const rows = (await this.#calls.find("changes", filter, { sort: { _id: 1 } })).map(
      ({ _id, user, row }): FeedRow => ({ revision: Number(_id), user: user as string | null, row: bytes(row) }),
    );
    if (request.user === "") this.#recent.remember(rows);
    return rows.filter(wantedBy(request)).map(({ row }) => row);
  }

  async #lookNowAndThen(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(this.#isWatched ? lookMs : lookUnwatchedMs, signal).catch(() => {}); // aborted: the loop ends
      if (!signal.aborted) await this.look().catch(() => {}); // readers see it by themselves
    }
  }

  /** Each change of the writer document wakes readers; where there is no stream, or its history is gone, looking has to do until one can be had again. */
  async #beWoken(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#watch = this.#calls.watch("meta", [{ $match: { "documentKey._id": "writer" } }]);
        await this.#watch.open();
        this.#setWatched(true);
        await this.look(); // what was committed before it was open
        while (!signal.aborted) this.committed(revisionOf(await this.#watch.next()));
      } catch {
        // Any error: the stream is opened again below.
      }
      this.#setWatched(false);
      await this.#watch?.close().catch(() => {});
      await sleep(watchAgainMs, signal).catch(() => {});
    }
  }

  #setWatched(isThere: boolean): void {
    if (isThere !== this.#isWatched) this.#onStream(isThere);
    this.#isWatched = isThere;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watch?.close().catch(() => {});
    await Promise.all(this.#loops);
  }
}

const startAgain: ChangesResponse = { token: "", changes: [], startAgain: true };

const wantedBy =
  ({ user, tasksOnly }: ChangesRequest) =>
  (row: FeedRow): boolean =>
    row.user === null ? !tasksOnly : user === "" || row.user === user;

const filterOf = ({ user, tasksOnly }: ChangesRequest): Readonly<Record<string, unknown>> => ({
  user: tasksOnly ? user : { $in: [user, null] },
});

function revisionOf(event: unknown): number {
  const { updateDescription } = event as { updateDescription?: { updatedFields?: { revision?: number } } };
  return updateDescription?.updatedFields?.revision ?? 0;
}
