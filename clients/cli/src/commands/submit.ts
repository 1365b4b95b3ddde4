import { randomUUID } from "node:crypto";
import { SubmitTaskRequest, SubmitTaskResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { dryRun } from "../dry-run.ts";
import { usageError } from "../exit.ts";
import { print, printJson, warn } from "../output/print.ts";
import { commandHelp, wasDashed } from "../task-input/command-words.ts";
import { stdinWarnings, warnOfImage } from "../task-input/without-effect.ts";
import { readProgram } from "../task-input/program-input.ts";
import { addTaskOptions } from "../task-input/task-options.ts";
import { mergeWishes, toSpec } from "../task-input/task-wish.ts";

const linesHelp = `
submit - reads one task per line as JSON and answers each line with its id, or with what is wrong with it:
  {"command": ["echo", "1"], "cpu": 0.5, "mem": "1G", "time": "10m", "env": {"A": "b"}, "afterok": ["12"]}
Keys are the options' names, command (a list of words), script, requestId, or the fields of the API's TaskSpec in proto3 JSON
(resources, timeLimitMs, dependencies, files, …). A key that is unknown or has a value of another type is an error of that line.
Options on the command line hold for all lines; what a line says wins.`;

export function register(program: Command, caller: Caller): void {
  const command = program
    .command("submit")
    .description(`Submits a task, or one per line of standard input, and prints the id of each.\n${commandHelp}`)
    .argument("[command...]", "-- and a command, a script file and its arguments, or - for standard input")
    .addHelpText("after", linesHelp)
    .passThroughOptions();
  const wishOf = addTaskOptions(command);
  command
    .option("--dry-run", "check everything, store nothing")
    .option("--json", "answer in JSON")
    .action(async (words: string[], options: { dryRun?: boolean; json?: boolean }) => {
      const json = options.json ?? false;
      if (words[0] === "-" && !wasDashed(words)) {
        if (words.length > 1) throw usageError("-", "nothing may come behind it");
        const { submitLines } = await import("../submit-lines.ts");
        process.exitCode = await withBerth(caller, (berth) =>
          submitLines(berth, process.stdin, { wish: wishOf(), dryRun: options.dryRun ?? false, json }),
        );
        return;
      }
      const input = readProgram(words, wasDashed(words));
      const spec = toSpec(mergeWishes(input.wish, wishOf()), input.program);
      for (const text of [...input.warnings, ...stdinWarnings(input.program)]) warn(text);
      await withBerth(caller, async (berth) => {
        await warnOfImage(berth, spec);
        if (options.dryRun) return dryRun(berth, spec, json);
        const answer = await berth.tasks.submitTask(SubmitTaskRequest.fromPartial({ spec, requestId: randomUUID() }), {
          patienceMs: 30_000,
        });
        for (const warning of answer.warnings) warn(warning);
        if (json) printJson(SubmitTaskResponse.toJSON(answer));
        else print(answer.taskId);
      });
    });
}
