import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { AppError } from "@berth/core";
import { fromFailure, toFailure } from "@berth/contracts";
import { SubmitTasksResult } from "@berth/contracts/api";
import type { SubmitTaskRequest } from "@berth/contracts/api";
import type { Berth } from "@berth/sdk";
import { exitCodeFor } from "./exit.ts";
import { note } from "./output/print.ts";
import { readJsonLine } from "./task-input/json-line.ts";
import type { TaskWish } from "./task-input/task-wish.ts";

/** Bounds of one call: the server takes 10,000 tasks and 16 MiB. */
const mostLines = 5_000;
const mostBytes = 8 * 1024 * 1024;

export interface SubmitLinesOptions {
  /** Holds for all lines; what a line says is stronger. */
  readonly wish: TaskWish;
  readonly dryRun: boolean;
  readonly json: boolean;
}

type Line = SubmitTaskRequest | AppError;

/** Submits a task a line, many in one call, and answers each line with one, in order. Answers the exit code: that of the first line that failed. */
export async function submitLines(berth: Berth, input: Readable, options: SubmitLinesOptions): Promise<number> {
  const batchId = randomUUID();
  let lines: Line[] = [];
  let bytes = 0;
  let count = 0;
  let failed = 0;
  let code = 0;

  async function send(): Promise<void> {
    const answers = await submitAll(berth, lines);
    let text = "";
    for (const answer of answers) {
      const failure = answer.failure;
      if (failure) {
        failed += 1;
        code ||= exitCodeFor(fromFailure(failure));
      }
      if (options.json) text += `${JSON.stringify(SubmitTasksResult.toJSON(answer))}\n`;
      else
        text += failure
          ? `error: ${failure.message.replace(/^tasks\[\d+\]\.spec\./, "")}\n`
          : `${answer.taskId || "ok"}\n`;
    }
    if (!process.stdout.write(text)) await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
    lines = [];
    bytes = 0;
  }

  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === "") continue;
    count += 1;
    lines.push(readLine(text, `${batchId}:${count}`, options));
    bytes += text.length;
    if (lines.length >= mostLines || bytes >= mostBytes) await send();
  }
  if (lines.length > 0) await send();
  if (failed > 0 && !options.json) note(`berth: ${failed} of ${count} lines failed`);
  return code;
}

function readLine(text: string, requestId: string, { wish, dryRun }: SubmitLinesOptions): Line {
  try {
    const line = readJsonLine(text, wish);
    return { spec: line.spec, requestId: line.requestId || requestId, dryRun };
  } catch (error) {
    return AppError.from(error);
  }
}

/** What is wrong already here keeps its place among the answers. */
async function submitAll(berth: Berth, lines: readonly Line[]): Promise<SubmitTasksResult[]> {
  const tasks = lines.filter((line): line is SubmitTaskRequest => !(line instanceof AppError));
  const { results } =
    tasks.length > 0
      ? await berth.tasks.submitTasks({ tasks }, { patienceMs: 30_000, deadlineMs: 120_000 })
      : { results: [] };
  let next = 0;
  return lines.map((line) =>
    line instanceof AppError ? { taskId: "", existing: false, failure: toFailure(line) } : results[next++]!,
  );
}
