import { AppError } from "@berth/core";
import type { ReadLogResponse, WatchTasksRequest, WatchTasksResponse } from "@berth/contracts/api";
import { LogStream } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import { whileHeard } from "@berth/contracts/while-heard";
import { pause } from "./call-errors.ts";
import type { Berth } from "./connect.ts";

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** How long the cluster may be unreachable before this gives up; 10 min by default. */
  readonly patienceMs?: number;
  /** Called when the cluster is unreachable, once per outage. */
  readonly onAway?: (error: AppError) => void;
}

const defaultRetryForMs = 10 * 60_000;
/** The server sends a message on a watch every 5 s. A watch without one for this long is broken, even if its connection seems open. */
const silenceMs = 15_000;

/** Reopens a stream that ended with `unavailable`, until the cluster is unreachable for longer than the patience. `open` calls `progress` for each message. */
async function* reopening<T>(
  options: FollowOptions,
  open: (progress: () => void) => AsyncIterable<T>,
): AsyncGenerator<T> {
  let heardAt = performance.now();
  for (let failures = 0; ; failures++) {
    try {
      yield* open(() => {
        heardAt = performance.now();
        failures = 0;
      });
      return;
    } catch (thrown) {
      options.signal?.throwIfAborted();
      const error = AppError.from(thrown);
      if (error.code !== "unavailable" || performance.now() - heardAt > (options.patienceMs ?? defaultRetryForMs))
        throw error;
      if (failures === 1) options.onAway?.(error);
    }
    await pause(Math.min(1_000, 50 * 2 ** failures) * (0.5 + Math.random() / 2), options.signal);
  }
}

/**
 * A watch that survives lost connections, gateways and restarts of the cluster. It reports the end of each task once, even if a resumed stream repeats it. It
 * ends after a message with `startAgain`.
 */
export function followTasks(
  berth: Berth,
  request: WatchTasksRequest,
  options: FollowOptions = {},
): AsyncGenerator<WatchTasksResponse> {
  let { token } = request;
  const ends = new ReportedEnds();
  return reopening(options, async function* (progress) {
    const open = (signal: AbortSignal) => berth.tasks.watchTasks({ ...request, token }, { signal });
    for await (const message of whileHeard(open, { signal: options.signal, silenceMs, service: berth.server })) {
      progress();
      yield ends.onlyNew(message);
      token = message.token || token;
      if (message.startAgain) return;
    }
    // A server that stops may end the stream without an error; a watch has no other end than ours.
    throw new AppError("unavailable", "STREAM_ENDED", "the watch ended");
  });
}

/** How many ended tasks a watch remembers, to report each end once. */
const rememberedEnds = 100_000;

class ReportedEnds {
  readonly #told = new Set<string>();

  onlyNew(message: WatchTasksResponse): WatchTasksResponse {
    const tasks = message.tasks.filter((task) => {
      if (task.state !== TaskState.OVER) return true;
      if (this.#told.has(task.id)) return false;
      if (this.#told.size >= rememberedEnds) this.#told.delete(this.#told.values().next().value!);
      this.#told.add(task.id);
      return true;
    });
    return tasks.length === message.tasks.length ? message : { ...message, tasks };
  }
}

export interface OutputRequest {
  readonly taskId: string;
  /** 0: the last attempt, and then each later one. */
  readonly attempt: number;
  readonly stream: LogStream;
  readonly follow: boolean;
}

/** Output of a task, each byte once, also if the connection breaks. */
export function readOutput(
  berth: Berth,
  request: OutputRequest,
  options: FollowOptions = {},
): AsyncGenerator<ReadLogResponse> {
  const offsets = { stdout: 0, stderr: 0 };
  let { attempt } = request;
  return reopening(options, async function* (progress) {
    // The offsets belong to one attempt; a later attempt may have begun since.
    if (attempt !== request.attempt) {
      const { task } = await berth.tasks.getTask({ taskId: request.taskId }, signalOf(options));
      if ((task?.attempt ?? 0) > attempt) offsets.stdout = offsets.stderr = 0;
    }
    const from = { ...request, stdoutOffset: offsets.stdout, stderrOffset: offsets.stderr };
    for await (const piece of berth.tasks.readLog(from, signalOf(options))) {
      progress();
      if (piece.attempt !== attempt && request.attempt === 0) {
        if (attempt !== 0) offsets.stdout = offsets.stderr = 0;
        attempt = piece.attempt;
      }
      yield piece;
      if (piece.stream === LogStream.STDOUT) offsets.stdout = piece.offset;
      if (piece.stream === LogStream.STDERR) offsets.stderr = piece.offset;
    }
  });
}

const signalOf = ({ signal }: FollowOptions) => (signal ? { signal } : {});
