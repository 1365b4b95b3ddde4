import { stateFromWire } from "@berth/contracts";
import { ListTasksRequest, ReadLogResponse } from "@berth/contracts/api";
import { LogStream } from "@berth/contracts/store";
import { TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { followTasks, pause, readOutput } from "@berth/sdk";
import type { Berth, FollowOptions, OutputRequest } from "@berth/sdk";
import { printJson } from "./output/print.ts";
import { writeOut } from "./output/stdout.ts";
import { arraySpecOf, isOver, progressWords, stateWords } from "./output/task-words.ts";
import type { StatusLine } from "./output/status-line.ts";

export interface FollowTaskOptions {
  readonly signal: AbortSignal;
  readonly status: StatusLine;
  /** Print output as JSON documents. */
  readonly json: boolean;
}

/** A task that waits for less than this needs no explanation. */
const patienceMs = 1_000;
const askWhyEveryMs = 3_000;
const pageSize = 1_000;
/** How long a unary call is retried while the cluster does not answer. */
const awayMs = 60_000;

/** Follows one task to its end: writes its output to ours and its state to the status line. The output of an array is not followed. */
export async function followTask(berth: Berth, taskId: string, options: FollowTaskOptions): Promise<Task> {
  const { signal, status } = options;
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const followed: FollowOptions = {
    signal: either,
    onAway: () => status.note("the cluster does not answer; the task goes on, trying again"),
  };
  try {
    const ended = untilOver(berth, [taskId], followed, (task) => tellState(status, task));
    const explained = explainWhileWaiting(berth, taskId, status, either).catch(() => {}); // aborted
    const { task } = await berth.tasks.getTask({ taskId }, { signal: either, patienceMs: awayMs });
    if (!task || !arraySpecOf(task)) {
      await Promise.all([
        ended,
        writeOutput(berth, { taskId, attempt: 0, stream: LogStream.UNSPECIFIED, follow: true }, options, followed),
      ]);
    }
    const [over] = await ended;
    stop.abort(new Error("followed to its end"));
    await explained;
    return over!;
  } finally {
    stop.abort(new Error("no longer followed"));
    status.clear();
  }
}

/**
 * Resolves with the tasks, in order, when all are over; `onChange` hears of each change. Throws `not-found` for a task that the caller may not see: a wait for it
 * would never end.
 */
export async function untilOver(
  berth: Berth,
  taskIds: readonly string[],
  options: FollowOptions,
  onChange: (task: Task) => void,
): Promise<Task[]> {
  const wanted = new Set(taskIds);
  for (;;) {
    const over = new Map<string, Task>();
    const hear = (task: Task): void => {
      if (!wanted.has(task.id) || over.has(task.id)) return;
      if (isOver(task)) over.set(task.id, task);
      onChange(task);
    };
    // List first, then watch from the token of the list, so that no change between the two is missed.
    const { token, user } = await listAll(berth, [...wanted], options, hear);
    if (over.size < wanted.size) {
      const watched = wanted.size <= pageSize ? [...wanted] : [];
      for await (const message of followTasks(berth, { token, user, taskIds: watched }, options)) {
        for (const task of message.tasks) hear(task);
        if (message.startAgain || over.size === wanted.size) break;
      }
    }
    if (over.size === wanted.size) return taskIds.map((id) => over.get(id)!);
  }
}

/** Lists the tasks. Answers the token to watch from, and the user to watch: "*" if an admin waits for a task of another user. */
async function listAll(
  berth: Berth,
  taskIds: readonly string[],
  options: FollowOptions,
  hear: (task: Task) => void,
): Promise<{ token: string; user: string }> {
  const call = { patienceMs: awayMs, ...(options.signal ? { signal: options.signal } : {}) };
  const missing = new Set(taskIds);
  let token = "";
  let user = "";
  for (let at = 0; at < taskIds.length; at += pageSize) {
    const page = await berth.tasks.listTasks(
      ListTasksRequest.fromPartial({ taskIds: taskIds.slice(at, at + pageSize), pageSize }),
      call,
    );
    token ||= page.watchToken;
    for (const task of page.tasks) {
      missing.delete(task.id);
      hear(task);
    }
  }
  if (missing.size === 0) return { token, user };
  const me = (await berth.session.whoAmI({}, call)).user?.name;
  for (const taskId of missing) {
    const { task } = await berth.tasks.getTask({ taskId }, call);
    if (task?.identity?.user !== me) user = "*";
    if (task) hear(task);
  }
  return { token, user };
}

function tellState(status: StatusLine, task: Task): void {
  const name = task.id;
  switch (stateFromWire(task.state)) {
    case "placed":
      if (task.detail) status.say(`${name} on ${task.hostId}: ${task.detail}`);
      return;
    case "running":
    case "suspended":
      status.say(task.progress ? `${name}: ${progressWords(task)}` : `${name} ${stateWords(task)} on ${task.hostId}`);
      return;
    default:
      if (task.progress && !isOver(task)) status.say(`${name}: ${progressWords(task)}`);
  }
}

/** Shows why the task waits, until it no longer does. A call that fails is repeated later. Throws when aborted. */
async function explainWhileWaiting(
  berth: Berth,
  taskId: string,
  status: StatusLine,
  signal: AbortSignal,
): Promise<void> {
  for (let waitMs = patienceMs; ; waitMs = askWhyEveryMs) {
    await pause(waitMs, signal);
    try {
      const { task } = await berth.tasks.getTask({ taskId }, { signal });
      if (task?.state !== TaskState.PENDING || task.progress) return;
      const { explanation } = await berth.tasks.explainTask({ taskId }, { signal });
      if (explanation)
        status.say(`${taskId} waits (${explanation.position} of ${explanation.pending}): ${explanation.message}`);
    } catch {
      signal.throwIfAborted();
    }
  }
}

/** Copies a task's standard output to ours and its standard error to ours, with backpressure. Marks between attempts go to standard error. */
export async function writeOutput(
  berth: Berth,
  request: OutputRequest,
  options: Omit<FollowTaskOptions, "signal">,
  followed: FollowOptions,
): Promise<void> {
  let attempt = 0;
  for await (const piece of readOutput(berth, request, followed)) {
    if (options.json) {
      printJson(ReadLogResponse.toJSON(piece));
      continue;
    }
    options.status.clear();
    if (attempt !== 0 && piece.attempt !== attempt) process.stderr.write(`--- attempt ${piece.attempt} ---\n`);
    attempt = piece.attempt;
    if (piece.gap) process.stderr.write(`--- output is missing here: ${piece.gap} ---\n`);
    const out = piece.stream === LogStream.STDERR ? process.stderr : process.stdout;
    await writeOut(piece.content, out);
  }
}
