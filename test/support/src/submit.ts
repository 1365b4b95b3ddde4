import { SubmitTaskRequest } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import type { Task, TaskSpec } from "@berth/contracts/types";
import type { Api } from "./api.ts";
import { retryWhileAway } from "./retry-while-away.ts";

/** A spec with what matters to a test; the rest has its defaults. */
export type Wish = {
  [Key in keyof TaskSpec]?: TaskSpec[Key] extends (infer Item)[]
    ? Partial<Item>[] | Item[]
    : Partial<TaskSpec[Key]> | TaskSpec[Key];
};

/** Submits one task; its id. */
export async function submit(api: Api, spec: Wish): Promise<string> {
  const { taskId } = await api.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec: spec as unknown as TaskSpec }));
  return taskId;
}

export async function getTask(api: Api, taskId: string): Promise<Task> {
  const { task } = await retryWhileAway(() => api.tasks.getTask({ taskId }));
  if (!task) throw new Error(`no task ${taskId}`);
  return task;
}

/** Resolves with the task as soon as it is so. */
export async function taskWhen(
  api: Api,
  taskId: string,
  isSo: (task: Task) => boolean,
  withinMs = 30_000,
): Promise<Task> {
  const end = Date.now() + withinMs;
  for (;;) {
    const task = await getTask(api, taskId);
    if (isSo(task)) return task;
    if (Date.now() > end)
      throw new Error(`waited ${withinMs} ms; the task is ${JSON.stringify({ ...task, spec: undefined })}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export const whenOver = (api: Api, taskId: string, withinMs = 30_000): Promise<Task> =>
  taskWhen(api, taskId, (task) => task.state === TaskState.OVER, withinMs);
export const whenRunning = (api: Api, taskId: string, withinMs = 30_000): Promise<Task> =>
  taskWhen(api, taskId, (task) => task.state === TaskState.RUNNING, withinMs);

/** All that a task wrote to one of its outputs. */
export async function readLog(api: Api, taskId: string, stream: "stdout" | "stderr" = "stdout"): Promise<string> {
  const pieces: Buffer[] = [];
  const wire = stream === "stdout" ? "LOG_STREAM_STDOUT" : "LOG_STREAM_STDERR";
  for await (const piece of api.tasks.readLog({
    taskId,
    stream: wire,
    follow: true,
    attempt: 0,
    stdoutOffset: 0,
    stderrOffset: 0,
  })) {
    pieces.push(Buffer.from(piece.gap ? `[${piece.gap}]` : piece.content));
  }
  return Buffer.concat(pieces).toString("utf8");
}
