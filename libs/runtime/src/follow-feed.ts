import { AppError } from "@berth/core";
import { Change, type TaskStoreServiceService } from "@berth/contracts/store";
import { whileHeard } from "@berth/contracts/while-heard";
import type { GrpcClient } from "./grpc-client.ts";
import type { Logger } from "./logger.ts";
import type { Problems } from "./problems.ts";
import { backoffMs, sleep } from "./retry.ts";
import type { SetAside } from "./set-aside.ts";

/** Who reads the change feed. Calls come one after the other, never after the follower's signal is aborted. */
export interface FeedReader {
  /** A snapshot begins: what was known before no longer counts. */
  onStart(epoch: string): void;
  /** Rows in order. A row may be repeated, or be older than one of the snapshot: compare its revision. */
  onChanges(changes: readonly Change[]): void;
  /** The reader has caught up, or nearly. Called at least every few seconds while the feed works. */
  onCaughtUp(): void;
}

export interface FollowOptions {
  readonly store: GrpcClient<typeof TaskStoreServiceService>;
  readonly reader: FeedReader;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** New tasks wait for this reader. */
  readonly urgent?: boolean;
  /** Rows that cannot be decoded are left out through it. */
  readonly setAside: Pick<SetAside, "add" | "clear">;
  /** Where it says that the feed or the snapshot fails. */
  readonly problems: Pick<Problems, "set" | "clear">;
}

/** After this many failures in a row it is a problem, because a restart of the service causes fewer. */
const isProblem = 5;

/** No word for this long, not even that there is none. */
const silenceMs = 15_000;

/** A part this short says that the reader is as good as there: under load there may always be some row more. */
const nearlyNone = 250;

/**
 * Snapshot, then changes, for as long as it is not aborted: it resumes by token after a lost stream, and starts again where storage says so.
 * Resolves when aborted; what a reader throws ends it.
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
