import type { Run } from "./run.ts";
import { splitTaskId } from "./task-id.ts";

/**
 * Where a task's files are, relative to the file store's root. Storage and an agent on the same machine agree on this.
 *
 *   <thousand>/<number>/work/                         a task's directory; of an array: its shared files
 *   <thousand>/<number>/<attempt>.out|.err            a task's output
 *   <thousand>/<number>/e/<thousand>/<index>/         an element's directory
 *   <thousand>/<number>/e/<thousand>/<index>.<attempt>.out|.err
 *
 * Better than a pairtree: no directory is both a level and an item, and none grows past about 4,000 entries.
 */
export function taskDir(id: string): string {
  const { number, index } = splitTaskId(id);
  return index === undefined ? `${taskBase(number)}/work` : `${elementBase(number, index)}/${index}`;
}

/** Everything of a task or an array; what clean-up removes. */
export const taskBase = (number: number): string => `${Math.floor(number / 1000)}/${number}`;

/** Directory that holds an element's directory and output. */
export const elementBase = (number: number, index: number): string =>
  `${taskBase(number)}/e/${Math.floor(index / 1000)}`;

/** File with one output of a run. */
export function logPath(run: Run, stream: "stdout" | "stderr"): string {
  const { number, index } = splitTaskId(run.taskId);
  const stem =
    index === undefined
      ? `${taskBase(number)}/${run.attempt}`
      : `${elementBase(number, index)}/${index}.${run.attempt}`;
  return `${stem}.${stream === "stdout" ? "out" : "err"}`;
}
