import { AppError, taskNotFound } from "@berth/core";
import type { FileStore, OutputStream, Owner } from "../ports/file-store.ts";
import type { LogState, TaskStore } from "../ports/task-store.ts";

export interface LogRequest {
  readonly taskId: string;
  /** 0: the last attempt; when following, each later one after it. */
  readonly attempt: number;
  readonly streams: readonly OutputStream[];
  readonly follow: boolean;
  readonly offsets: Readonly<Record<OutputStream, number>>;
}

/** A piece of output. Without content it marks a new attempt or a gap. */
export interface LogPiece {
  readonly stream: OutputStream | undefined;
  readonly content: Uint8Array;
  readonly attempt: number;
  readonly offset: number;
  readonly gap: string;
}

export interface LogDeps {
  readonly store: Pick<TaskStore, "epoch" | "logState" | "nextCommit">;
  readonly files: Pick<FileStore, "readLog">;
  readonly now: () => number;
  /** How long the reader waits for output that the agent reported before it tells of a gap. */
  readonly gapAfterMs?: number;
}

/** The error for a task whose files retention has removed. */
export const filesAreGone = (taskId: string): AppError =>
  new AppError("precondition", "TASK_ARCHIVED", `task ${taskId} is archived: its files and output were removed`, {
    metadata: { task_id: taskId },
  });

const pieceBytes = 256 * 1024;
/** Longest wait between two looks at a followed file; each commit wakes the reader earlier. */
const lookEveryMs = 75;
const nothing = new Uint8Array();

/** Yields the output of a task. When following, it ends once the task is over and all output that was reported has come, or a gap was told. */
export async function* readLog(deps: LogDeps, request: LogRequest, signal: AbortSignal): AsyncGenerator<LogPiece> {
  const { store, files, now, gapAfterMs = 10_000 } = deps;
  const look = async (): Promise<LogState> => {
    const state = await store.logState(request.taskId);
    if (!state) throw taskNotFound(request.taskId);
    if (state.archived) throw filesAreGone(request.taskId);
    return state;
  };
  let attempt = request.attempt || (await look()).attempt;
  let offsets = { ...request.offsets };
  let grownAt = now();
  while (!signal.aborted) {
    const state = await look(); // before reading the file: a task that is over now writes nothing more
    if (request.attempt === 0 && state.attempt > attempt) {
      // Read the previous attempt to its end first; it writes nothing more, because `state` already has the next one.
      if (attempt > 0) yield* rest(attempt, state);
      const first = attempt === 0;
      attempt = state.attempt;
      if (!first) {
        offsets = { stdout: 0, stderr: 0 };
        yield { stream: undefined, content: nothing, attempt, offset: 0, gap: "" };
      }
      grownAt = now();
    }
    let grew = false;
    if (attempt > 0) {
      for (const stream of request.streams) {
        const content = await files.readLog(
          { epoch: store.epoch, taskId: request.taskId, attempt },
          stream,
          state,
          offsets[stream],
          pieceBytes,
        );
        if (content.length === 0) continue;
        grew = true;
        yield piece(stream, content);
      }
    }
    if (grew) {
      grownAt = now();
      continue;
    }
    if (!request.follow) return;
    const ended = state.over || state.attempt > attempt;
    const missing = ended ? missingOf(state) : 0;
    if (ended && missing === 0) return;
    if (ended && now() - grownAt >= gapAfterMs) {
      yield { stream: undefined, content: nothing, attempt, offset: 0, gap: `${missing} bytes of output are missing` };
      return;
    }
    await store.nextCommit(signal, lookEveryMs);
  }

  function piece(stream: OutputStream, content: Uint8Array): LogPiece {
    offsets[stream] += content.length;
    return { stream, content, attempt, offset: offsets[stream], gap: "" };
  }

  /** Yields the unread output of an attempt that another has followed. */
  async function* rest(of: number, owner: Owner): AsyncGenerator<LogPiece> {
    for (const stream of request.streams) {
      while (!signal.aborted) {
        const content = await files.readLog(
          { epoch: store.epoch, taskId: request.taskId, attempt: of },
          stream,
          owner,
          offsets[stream],
          pieceBytes,
        );
        if (content.length === 0) break;
        yield piece(stream, content);
      }
    }
  }

  /** Bytes that the agent reported and that have not come. The size of an earlier or a lost attempt is unknown: then the file is taken as complete. */
  function missingOf(state: LogState): number {
    if (!state.sizes || state.attempt !== attempt) return 0;
    return request.streams.reduce((sum, stream) => sum + Math.max(0, state.sizes![stream] - offsets[stream]), 0);
  }
}
