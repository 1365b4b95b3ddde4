import { AppError } from "@berth/core";
import type { FileStore, OutputStream, Owner } from "../ports/file-store.ts";
import type { LogState, TaskStore } from "../ports/task-store.ts";

export interface LogRequest {
  readonly taskId: string;
  /** 0: the last, going on with later ones when following. */
  readonly attempt: number;
  readonly streams: readonly OutputStream[];
  readonly follow: boolean;
  readonly offsets: Readonly<Record<OutputStream, number>>;
}

/** A piece of output; without content it is a mark: of a new attempt, or of a gap. */
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
  /** How long output that was reported may be missing before that is said. */
  readonly gapAfterMs?: number;
}

/** Retention removed the files of a task; its record says so. */
export const filesAreGone = (taskId: string): AppError =>
  new AppError("precondition", "TASK_ARCHIVED", `task ${taskId} is archived: its files and output were removed`, {
    metadata: { task_id: taskId },
  });

const pieceBytes = 256 * 1024;
/** How often a file that is followed is looked at; a commit is a reason to look at once. */
const lookEveryMs = 75;
const nothing = new Uint8Array();

/** Output of a task, in pieces; followed until the task is over and all that it wrote is here, or said to be missing. */
export async function* readLog(deps: LogDeps, request: LogRequest, signal: AbortSignal): AsyncGenerator<LogPiece> {
  const { store, files, now, gapAfterMs = 10_000 } = deps;
  const look = async (): Promise<LogState> => {
    const state = await store.logState(request.taskId);
    if (!state)
      throw new AppError("not-found", "TASK_NOT_FOUND", `there is no task ${request.taskId}`, {
        metadata: { task_id: request.taskId },
      });
    if (state.archived) throw filesAreGone(request.taskId);
    return state;
  };
  let attempt = request.attempt || (await look()).attempt;
  let offsets = { ...request.offsets };
  let grownAt = now();
  while (!signal.aborted) {
    const state = await look(); // before reading: what is over now has written all it will
    if (request.attempt === 0 && state.attempt > attempt) {
      // The attempt before is read to its end first: `state` is newer than its last byte.
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

  /** What is left of an attempt that was followed by another. */
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

  /** How much the run says that it wrote and is not here. Nobody says it of an earlier attempt, or of one that was lost: then what is here is all. */
  function missingOf(state: LogState): number {
    if (!state.sizes || state.attempt !== attempt) return 0;
    return request.streams.reduce((sum, stream) => sum + Math.max(0, state.sizes![stream] - offsets[stream]), 0);
  }
}
