import { parseTaskIds } from "@berth/core";
import { GetTaskResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { untilOver } from "../follow-task.ts";
import { taskExitStatus } from "../output/exit-status.ts";
import { note, print, printJson } from "../output/print.ts";
import { goOnWithoutOutput } from "../output/stdout.ts";
import { isOver, stateWords } from "../output/task-words.ts";

export function register(program: Command, caller: Caller): void {
  program
    .command("wait")
    .description(
      "Waits until all are over, tells how each ended, and exits with the code of the first of them, as named, that did not succeed.",
    )
    .argument("<id...>", "tasks, arrays or elements, as 17, 17.4 or 17.1-3,7")
    .option("-q, --quiet", "say nothing")
    .option("--json", "a line of JSON for each that ends")
    .action(async (ids: string[], options: { quiet?: boolean; json?: boolean }) => {
      goOnWithoutOutput();
      const taskIds = parseTaskIds(ids, "id");
      const tasks = await withBerth(caller, (berth) =>
        untilOver(berth, taskIds, { onAway: () => note("the cluster does not answer; trying again") }, (task) => {
          if (!isOver(task)) return;
          if (options.json) printJson(GetTaskResponse.toJSON({ task }));
          else if (!options.quiet) print(`${task.id}  ${stateWords(task)}`);
        }),
      );
      process.exitCode = tasks.map(taskExitStatus).find((code) => code !== 0) ?? 0;
    });
}
