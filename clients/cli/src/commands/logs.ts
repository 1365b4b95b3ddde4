import { invalidField, parseTaskId } from "@berth/core";
import { LogStream } from "@berth/contracts/store";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { writeOutput } from "../follow-task.ts";
import { note } from "../output/print.ts";
import { arraySpecOf } from "../output/task-words.ts";
import { silentStatus } from "../output/status-line.ts";

interface Options {
  follow?: boolean;
  attempt?: string;
  stdout?: boolean;
  stderr?: boolean;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("logs")
    .description("Shows what a task or an element wrote: its standard output on ours, its standard error on ours.")
    .argument("<id>", "as 17 or 17.4")
    .option("-f, --follow", "go on until the task is over")
    .option("--attempt <n>", "of this attempt (default: the last)")
    .option("--stdout", "only standard output")
    .option("--stderr", "only standard error")
    .option("--json", "a line of JSON for each piece")
    .action(async (id: string, options: Options) => {
      const taskId = parseTaskId(id, "id");
      const attempt = readAttempt(options.attempt);
      const request = { taskId, attempt, stream: streamOf(options), follow: options.follow ?? false };
      await withBerth(caller, async (berth) => {
        const { task } = await berth.tasks.getTask({ taskId });
        const array = task && arraySpecOf(task);
        if (array)
          throw invalidField(
            "id",
            `${id} is an array, which writes nothing itself; name an element, such as ${id}.${array.first}`,
            "IS_ARRAY",
          );
        const away = {
          patienceMs: request.follow ? 600_000 : 5_000,
          onAway: () => note("the cluster does not answer; trying again"),
        };
        await writeOutput(berth, request, { status: silentStatus, json: options.json ?? false }, away);
      });
    });
}

function readAttempt(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageError("--attempt", "must be a whole number from 1");
  return Number(text);
}

function streamOf({ stdout, stderr }: Options): LogStream {
  if (stdout === stderr) return LogStream.UNSPECIFIED;
  return stdout ? LogStream.STDOUT : LogStream.STDERR;
}
