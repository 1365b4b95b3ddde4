import { invalidField } from "./errors.ts";
import { maxArrayIndex, parseTaskId, taskId } from "./task-id.ts";
import type { TaskId } from "./task-id.ts";

/** Elements that one list of ids may name, together. */
export const maxNamedTasks = 100_000;

const elements = /^([1-9][0-9]{0,14})\.([0-9,:-]+)$/;
const part = /^([0-9]{1,10})(?:-([0-9]{1,10})(?::([0-9]{1,10}))?)?$/;

/**
 * Reads ids as people name several: `17`, `17.4`, and elements of one array as `17.1-3,7,10-20:5`. Each is there once, in the order in which it was named first. Throws `invalid` INVALID_TASK_ID.
 */
export function parseTaskIds(words: readonly string[], field = "task_id"): TaskId[] {
  const ids = new Set<TaskId>();
  for (const word of words) {
    const match = elements.exec(word);
    if (!match || !/[,-]/.test(match[2]!)) ids.add(parseTaskId(word, field));
    else for (const index of indexes(match[2]!, word, field)) ids.add(taskId(Number(match[1]), index));
    if (ids.size > maxNamedTasks) throw tooMany(field);
  }
  return [...ids];
}

function* indexes(list: string, word: string, field: string): Generator<number> {
  let count = 0;
  for (const text of list.split(",")) {
    const match = part.exec(text);
    const [first, last, step] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1]), Number(match?.[3] ?? 1)];
    if (!match || last < first || step === 0 || last > maxArrayIndex)
      throw invalidField(
        field,
        `must look like 17, 17.4 or 17.1-3,7,10-20:5, is ${JSON.stringify(word.slice(0, 40))}`,
        "INVALID_TASK_ID",
      );
    for (let index = first; index <= last; index += step) {
      if (++count > maxNamedTasks) throw tooMany(field);
      yield index;
    }
  }
}

const tooMany = (field: string) =>
  invalidField(
    field,
    `names more than ${maxNamedTasks} tasks; name a whole array by its number alone`,
    "INVALID_TASK_ID",
  );
