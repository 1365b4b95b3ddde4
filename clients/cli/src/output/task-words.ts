import { formatArray, formatCpu, formatDuration, formatMemory, isArrayChildTask } from "@berth/core";
import { outcomeFromWire, requestFromWire, stateFromWire } from "@berth/contracts";
import { TaskState } from "@berth/contracts/types";
import type { ArraySpec, Task } from "@berth/contracts/types";

/** Whether a task is over for good. */
export const isOver = (task: { readonly state: TaskState }): boolean =>
  task.state === TaskState.OVER || task.state === TaskState.ARCHIVED;

/** A task's state in a few words: `running`, `placed: pulling image`, `failed (exit 3)`. */
export function stateWords(task: Task): string {
  const state = stateFromWire(task.state) ?? "unknown";
  if (isOver(task)) return endWords(task);
  const request = requestFromWire(task.request);
  const detail = task.detail ? `: ${task.detail}` : "";
  return `${progressWords(task) ?? `${state}${detail}`}${request ? `, ${request} requested` : ""}`;
}

function endWords(task: Task): string {
  const outcome = outcomeFromWire(task.outcome) ?? "over";
  const archived = task.state === TaskState.ARCHIVED ? ", archived" : "";
  if (outcome !== "failed") return `${outcome}${archived}`;
  if (task.exitCode !== undefined) return `failed (exit ${task.exitCode})${archived}`;
  return `failed (${task.signal === undefined ? (task.reason?.code ?? "?") : `signal ${task.signal}`})${archived}`;
}

/** The progress of an array; undefined for a task that is not an array. */
export function progressWords({ progress }: Task): string | undefined {
  if (!progress) return undefined;
  const ended = Object.entries(progress.ended).filter(([, count]) => count > 0);
  const done = ended.reduce((sum, [, count]) => sum + count, 0);
  const bad = ended.filter(([outcome]) => outcome !== "succeeded").map(([outcome, count]) => `${count} ${outcome}`);
  const limit = progress.maxLive > 0 ? ` of at most ${progress.maxLive}` : "";
  const parts = [
    `${done}/${progress.total} done`,
    ...bad,
    ...(progress.live > 0 || (limit && done < progress.total) ? [`${progress.live} live${limit}`] : []),
  ];
  return parts.join(", ");
}

export const cpuOf = (task: Task): string => (task.spec?.resources ? formatCpu(task.spec.resources.cpuMilli) : "");
export const memoryOf = (task: Task): string =>
  task.spec?.resources ? formatMemory(task.spec.resources.memoryBytes) : "";
export function arrayOf(task: Task): string {
  const array = arraySpecOf(task);
  return array ? formatArray(array) : "";
}

/** The range of an array; undefined for any other task. An element shares its array's spec but is not an array. */
export const arraySpecOf = (task: Task): ArraySpec | undefined =>
  isArrayChildTask(task.id) ? undefined : task.spec?.array;

/** How long the task has been waiting or running, or how long it ran. */
export function timeOf(task: Task, now: Date): string {
  if (task.startTime) return formatDuration(Math.max(0, (task.endTime ?? now).getTime() - task.startTime.getTime()));
  if (isOver(task)) return "";
  return task.createTime ? `${formatDuration(Math.max(0, now.getTime() - task.createTime.getTime()))} waiting` : "";
}

/** 2026-11-24 16:20:55, in this machine's time. */
export function clock(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** The command as one could type it. */
export const commandWords = (command: readonly string[]): string =>
  command.map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
