import { randomUUID } from "node:crypto";
import { SubmitTaskRequest, GetTaskResponse } from "@berth/contracts/api";
import { TaskRequest } from "@berth/contracts/types";
import type { Task, TaskSpec } from "@berth/contracts/types";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { dryRun } from "../dry-run.ts";
import { followTask } from "../follow-task.ts";
import { taskExitStatus } from "../output/exit-status.ts";
import { note, printJson, warn } from "../output/print.ts";
import { goOnWithoutOutput } from "../output/stdout.ts";
import { silentStatus, statusLine } from "../output/status-line.ts";
import { stateWords } from "../output/task-words.ts";
import { commandHelp, wasDashed } from "../task-input/command-words.ts";
import { stdinWarnings, warnOfImage } from "../task-input/without-effect.ts";
import { readProgram } from "../task-input/program-input.ts";
import { addTaskOptions } from "../task-input/task-options.ts";
import { mergeWishes, toSpec } from "../task-input/task-wish.ts";

export function register(program: Command, caller: Caller): void {
  const command = program
    .command("run")
    .description(`Submits a task, shows its output and ends with its exit code.\n${commandHelp}`)
    .argument("[command...]", "-- and a command, or a script file and its arguments")
    .passThroughOptions();
  const wishOf = addTaskOptions(command);
  command
    .option("--dry-run", "check everything, run nothing")
    .option("-q, --quiet", "say nothing but what the task says")
    .option("--json", "a line of JSON for each piece of output, and the task at the end")
    .action(async (words: string[], options: { dryRun?: boolean; quiet?: boolean; json?: boolean }) => {
      const input = readProgram(words, wasDashed(words));
      const spec = toSpec(mergeWishes(input.wish, wishOf()), input.program);
      if (!options.quiet) for (const text of [...input.warnings, ...stdinWarnings(input.program)]) warn(text);
      await withBerth(caller, async (berth) => {
        if (!options.quiet) await warnOfImage(berth, spec);
        if (options.dryRun) return dryRun(berth, spec, options.json ?? false);
        goOnWithoutOutput();
        process.exitCode = await run(berth, spec, { quiet: options.quiet ?? false, json: options.json ?? false });
      });
    });
}

async function run(berth: Berth, spec: TaskSpec, { quiet, json }: { quiet: boolean; json: boolean }): Promise<number> {
  const { taskId, warnings } = await berth.tasks.submitTask(
    SubmitTaskRequest.fromPartial({ spec, requestId: randomUUID() }),
    {
      patienceMs: 30_000,
    },
  );
  if (!quiet) for (const warning of warnings) warn(warning);
  if (!quiet && !json) note(`task ${taskId}`);
  const stopped = killOnInterrupt(berth, taskId);
  try {
    const task = await followTask(berth, taskId, {
      signal: stopped.signal,
      status: quiet || json ? silentStatus : statusLine(),
      json,
    });
    if (json) printJson(GetTaskResponse.toJSON({ task }));
    else if (!quiet) printEnd(task);
    return taskExitStatus(task);
  } finally {
    stopped.forget();
  }
}

/** Prints how the task ended, if that is not clear from its output. */
function printEnd(task: Task): void {
  if (taskExitStatus(task) !== 0)
    note(
      `task ${task.id} ${stateWords(task)}${task.exitCode === undefined && task.reason?.message ? `: ${task.reason.message}` : ""}`,
    );
  if (task.spec?.array)
    note(
      `berth ls ${task.id} shows its elements, berth logs ${task.id}.${task.spec.array.first} the output of the first`,
    );
}

/** The first Ctrl-C kills the task and the command keeps following it; the second one ends the command. */
function killOnInterrupt(berth: Berth, taskId: string): { readonly signal: AbortSignal; forget(): void } {
  const stop = new AbortController();
  let asked = false;
  const onSignal = (): void => {
    if (asked) {
      process.stderr.write(`\ntask ${taskId} may still run; berth show ${taskId}\n`);
      process.exit(130);
    }
    asked = true;
    process.stderr.write(`\nkilling task ${taskId}; again to leave it\n`);
    berth.tasks
      .requestTasks({ taskIds: [taskId], request: TaskRequest.KILL }, { patienceMs: 30_000 })
      .catch((error: unknown) => stop.abort(error));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: stop.signal,
    forget() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
