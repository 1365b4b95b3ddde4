import { AppError } from "@berth/core";
import { Change, type TaskStoreServiceService } from "@berth/contracts/store";
import { whileHeard } from "@berth/contracts/while-heard";
import type { GrpcClient } from "./grpc-client.ts";
import type { Logger } from "./logger.ts";
import type { Problems } from "./problems.ts";
import { backoffMs, sleep } from "./retry.ts";
import type { SetAside } from "./set-aside.ts";

/** A reader of the change feed. Its methods are called one after the other, and never after the follower's signal is aborted. */
export interface FeedReader {
  /** A snapshot begins. Forget everything from before. */
  onStart(epoch: string): void;
  /** Rows in order. Compare revisions, because a row may be repeated or be older than one in the snapshot. */
  onChanges(changes: readonly Change[]): void;
  /** The reader has caught up, or nearly. Called at least every few seconds while the feed works. */
  onCaughtUp(): void;
}

export interface FollowOptions {
  readonly store: GrpcClient<typeof TaskStoreServiceService>;
  readonly reader: FeedReader;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether new tasks wait for this reader, so that storage sends changes without delay. */
  readonly urgent?: boolean;
  /** Gets the rows that cannot be decoded. */
  readonly setAside: Pick<SetAside, "add" | "clear">;
  /** Gets a problem while the feed or the snapshot fails. */
  readonly problems: Pick<Problems, "set" | "clear">;
}

/** Failures in a row that count as a problem. A restart of storage causes fewer. */
const isProblem = 5;

/** Longest silence of storage, which also sends empty messages. After it the stream is opened again. */
const silenceMs = 15_000;

/** A message with fewer rows counts as the end of the backlog, because under load there is always another row. */
const nearlyNone = 250;

/**
 * Reads a snapshot, then changes, until aborted. After a lost stream it resumes by token; if storage asks for it, it starts again with a snapshot.
 * Resolves when aborted. Rejects with the reader's errors.
 */
export async function followFeed(options: FollowOptions): Promise<void> {
  const { store, reader, logger, signal, setAside, problems } = options;
  let token: string | undefined;
  let failures = 0;
  const heard = { signal, silenceMs, service: "storage" };

  const decoded = (changes: readonly Uint8Array[]): Change[] =>
    changes.flatMap((bytes) => {
      try {
        return Change.decode(bytes);
      } catch (error) {
        setAside.add(`a row of ${bytes.length} bytes`, error);
        return [];
      }
    });

  async function takeSnapshot(): Promise<void> {
    let from: string | undefined;
    for await (const part of whileHeard((stop) => store.snapshot({}, { signal: stop }), heard)) {
      if (signal.aborted) return;
      if (from === undefined) {
        setAside.clear();
        reader.onStart(part.epoch);
      }
      from ??= part.token;
      reader.onChanges(decoded(part.changes));
    }
    token = from;
  }

  async function takeChanges(from: string): Promise<void> {
    token = from;
    const open = (stop: AbortSignal) =>
      store.changes({ token: from, user: "", tasksOnly: false, urgent: options.urgent === true }, { signal: stop });
    for await (const part of whileHeard(open, heard)) {
      if (signal.aborted) return;
      failures = 0;
      token = part.startAgain ? undefined : part.token;
      if (part.changes.length > 0) reader.onChanges(decoded(part.changes));
      if (failures === 0) problems.clear("FEED_FAILED");
      if (!part.startAgain && part.changes.length < nearlyNone) reader.onCaughtUp();
    }
  }

  while (!signal.aborted) {
    try {
      if (token === undefined) await takeSnapshot();
      else await takeChanges(token);
      continue;
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof AppError)) throw thrown;
      if (thrown.code === "internal" || failures >= isProblem)
        problems.set(
          "FEED_FAILED",
          `the ${token === undefined ? "snapshot" : "change feed"} fails: ${thrown.message} (${thrown.reason})`,
        );
      if (failures++ === 0)
        logger.warn("the change feed was lost; following it again", { reason: thrown.reason, error: thrown.message });
    }
    await sleep(backoffMs(failures, Math.random, { baseMs: 20, maxMs: 1_000 }), signal).catch(() => {});
  }
}
