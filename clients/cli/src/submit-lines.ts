import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { AppError, MiB } from "@berth/core";
import { fromFailure, toFailure } from "@berth/contracts";
import { SubmitTaskRequest, SubmitTasksResult } from "@berth/contracts/api";
import { maxMessageBytes } from "@berth/contracts/channel";
import type { Berth } from "@berth/sdk";
import { exitCodeFor, usageError } from "./exit.ts";
import { inputLines } from "./input-lines.ts";
import { note, plainJson } from "./output/print.ts";
import { printable } from "./output/table.ts";
import { writeOut } from "./output/stdout.ts";
import { readJsonLine } from "./task-input/json-line.ts";
import type { TaskWish } from "./task-input/task-wish.ts";
import { notUtf8 } from "./task-input/utf8.ts";

/** Limits of one call: the server accepts 10,000 tasks and 16 MiB, encoded. */
const mostLines = 5_000;
const mostBytes = maxMessageBytes / 2;
/** The message around one task needs some bytes too. */
const mostTaskBytes = maxMessageBytes - 1024;
/** JSON may write a byte with six letters, so a task that a call can take may be a longer line. */
const mostLineBytes = 6 * maxMessageBytes;

export interface SubmitLinesOptions {
  /** Holds for all lines; what a line says is stronger. */
  readonly wish: TaskWish;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** One line before its call; `bytes` is its encoded length. */
type Line = { readonly number: number } & (
  | { readonly request: SubmitTaskRequest; readonly bytes: number }
  | { readonly error: AppError }
);

/** Submits one task per line, many per call, and answers each line with one, in order. Answers the exit code: that of the first line that failed. */
export async function submitLines(berth: Berth, input: Readable, options: SubmitLinesOptions): Promise<number> {
  const batchId = randomUUID();
  let lines: Line[] = [];
  let bytes = 0;
  let count = 0;
  let failed = 0;
  let code = 0;

  async function send(): Promise<void> {
    const sent = lines;
    lines = [];
    bytes = 0;
    let text = "";
    for (const answer of await submitAll(berth, sent)) {
      const failure = answer.failure;
      if (failure) {
        failed += 1;
        code ||= exitCodeFor(fromFailure(failure));
      }
      for (const warning of answer.warnings) note(`berth: warning: task ${answer.taskId}: ${warning}`);
      if (options.json) text += `${plainJson(SubmitTasksResult.toJSON(answer))}\n`;
      else text += failure ? `error: ${printable(failure.message)}\n` : `${answer.taskId || "ok"}\n`;
    }
    await writeOut(text);
  }

  for await (const { number, bytes: read } of inputLines(input, mostLineBytes)) {
    if (read?.toString("latin1").trim() === "") continue;
    count += 1;
    const line = readLine(number, read, `${batchId}:${count}`, options);
    const length = "bytes" in line ? line.bytes : 0;
    if (lines.length >= mostLines || (bytes > 0 && bytes + length > mostBytes)) await send();
    lines.push(line);
    bytes += length;
  }
  if (lines.length > 0) await send();
  if (failed > 0 && !options.json) note(`berth: ${failed} of ${count} lines failed`);
  return code;
}

function readLine(number: number, read: Buffer | undefined, ownId: string, { wish, dryRun }: SubmitLinesOptions): Line {
  try {
    const tooLong = usageError("line", `is too long: a task has at most ${Math.floor(mostTaskBytes / MiB)} MiB`);
    if (!read) throw tooLong;
    const wrong = notUtf8(read);
    if (wrong !== undefined) throw usageError("line", wrong);
    const { spec, requestId } = readJsonLine(read.toString(), wish);
    const request = { spec, requestId: requestId || ownId, dryRun };
    const bytes = SubmitTaskRequest.encode(request).finish().length;
    if (bytes > mostTaskBytes) throw tooLong;
    return { number, request, bytes };
  } catch (error) {
    return { number, error: AppError.from(error) };
  }
}

/** Submits the valid lines in one call, and puts the answers and our own errors in the order of the lines. Each failure names its line. */
async function submitAll(berth: Berth, lines: readonly Line[]): Promise<SubmitTasksResult[]> {
  const tasks = lines.flatMap((line) => ("request" in line ? [line.request] : []));
  const { results } =
    tasks.length > 0
      ? await berth.tasks.submitTasks({ tasks }, { patienceMs: 30_000, deadlineMs: 120_000 })
      : { results: [] };
  let next = 0;
  return lines.map((line) => {
    const answer =
      "error" in line
        ? { taskId: "", existing: false, warnings: [], failure: toFailure(line.error) }
        : results[next++]!;
    const { failure } = answer;
    if (!failure) return answer;
    const message = `line ${line.number}: ${failure.message.replace(/^tasks\[\d+\]\.(spec\.)?/, "")}`;
    const metadata = { ...failure.metadata, line: String(line.number) };
    return { ...answer, failure: { ...failure, message, metadata } };
  });
}
