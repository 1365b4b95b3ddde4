import { invalidField } from "./errors.ts";

/** "17" for a task or an array, "17.4" for the element with index 4 of array 17. */
export type TaskId = string & { readonly __brand: "TaskId" };

/**
 * Largest index of an element, and largest step of an array: 2^31 - 1. Ids, cursors (an index plus a step) and sums of them stay whole numbers in JavaScript, in
 * SQLite and in MongoDB, and an int32 of any client holds an index.
 */
export const maxArrayIndex = 2_147_483_647;

const pattern = /^([1-9][0-9]{0,14})(?:\.(0|[1-9][0-9]{0,9}))?$/;

/** Reads an id from outside; throws `invalid` INVALID_TASK_ID. */
export function parseTaskId(text: string, field = "task_id"): TaskId {
  if (!isTaskId(text))
    throw invalidField(field, `must look like 17 or 17.4, is ${JSON.stringify(text.slice(0, 40))}`, "INVALID_TASK_ID");
  return text;
}

/** Whether a text is the id of a task, an array or an element. */
export function isTaskId(text: string): text is TaskId {
  const match = pattern.exec(text);
  return match !== null && Number(match[2] ?? 0) <= maxArrayIndex;
}

/** The id of the task with that number, or of its element with that index. */
export const taskId = (number: number, index?: number): TaskId =>
  (index === undefined ? `${number}` : `${number}.${index}`) as TaskId;

/** Number and, for an element, index. */
export function splitTaskId(id: string): { number: number; index: number | undefined } {
  const dot = id.indexOf(".");
  if (dot < 0) return { number: Number(id), index: undefined };
  return { number: Number(id.slice(0, dot)), index: Number(id.slice(dot + 1)) };
}

/** Whether the id names one element of an array (GO-Docker's `is_array_child_task`). */
export const isArrayChildTask = (id: string): boolean => id.includes(".");

/** Whether a task is an array, which has elements and runs nothing itself (GO-Docker's `is_array_task`). */
export const isArrayTask = (task: { readonly array?: unknown }): boolean => task.array !== undefined;
