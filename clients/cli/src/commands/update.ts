import { parseTaskId } from "@berth/core";
import { UpdateTaskResponse } from "@berth/contracts/api";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { print, printJson } from "../output/print.ts";
import { progressWords } from "../output/task-words.ts";

interface Options {
  arrayLimit?: string;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("update")
    .description("Changes how many elements of an array run at once. Lowering it stops nothing that runs.")
    .argument("<id>", "the array, as 17")
    .option("--array-limit <n>", "at most this many elements at once; none: no limit")
    .option("--json", "answer in JSON")
    .action(async (id: string, options: Options) => {
      if (options.arrayLimit === undefined) throw usageError("--array-limit", "say what is to be changed");
      const maxLive = readLimit(options.arrayLimit);
      const answer = await withBerth(caller, (berth) =>
        berth.tasks.updateTask({ taskId: parseTaskId(id, "id"), maxLive }),
      );
      if (options.json) return printJson(UpdateTaskResponse.toJSON(answer));
      print(`${id}  ${progressWords(answer.task!) ?? ""}`);
    });
}

/** Reads 20, or %20 as at submit; 0 for none, which is no limit in the API. */
function readLimit(text: string): number {
  if (text === "none") return 0;
  const match = /^%?(\d{1,7})$/.exec(text);
  const limit = Number(match?.[1] ?? 0);
  if (limit < 1)
    throw usageError(
      "--array-limit",
      `must be a whole number from 1, or none for no limit, is ${JSON.stringify(text)}; berth kill ends what runs`,
    );
  return limit;
}
