import { parseTaskIds } from "@berth/core";
import { fromFailure, outcomeFromWire, stateFromWire } from "@berth/contracts";
import { ListTasksRequest, RequestTasksResponse } from "@berth/contracts/api";
import type { RequestTasksResult } from "@berth/contracts/api";
import { TaskRequest } from "@berth/contracts/types";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { exitCodeFor, usageError } from "../exit.ts";
import { note, print, printJson } from "../output/print.ts";

const batch = 5_000;

interface Options {
  name?: string;
  all?: boolean;
  user?: string;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("kill")
    .description(
      "Ends tasks: one that waits at once, one that runs with TERM and, after its grace time, KILL. Killing one that is over is no error.",
    )
    .argument("[id...]", "tasks, arrays or elements, as 17, 17.4 or 17.1-3,7")
    .option("--name <name>", "my live tasks with this name; a trailing * matches a prefix")
    .option("--all", "all my live tasks")
    .option("-u, --user <name>", "with --name or --all: of another user, or '*' for everybody (admins)")
    .option("--json", "answer in JSON")
    .action(async (ids: string[], options: Options) => {
      const ways = [ids.length > 0, options.name !== undefined, options.all === true].filter(Boolean).length;
      if (ways !== 1) throw usageError("id", "name tasks by their ids, or by --name, or say --all; one of these");
      if (ids.length > 0 && options.user !== undefined)
        throw usageError("--user", "goes with --name or --all; tasks named by their ids need no user");
      const named = parseTaskIds(ids, "id");
      const results = await withBerth(caller, async (berth) =>
        ids.length > 0 ? killAll(berth, named) : killLive(berth, options),
      );
      printResults(results, options.json ?? false);
    });
}

/** Kills all live tasks of a user, by default the caller's, or those of a name. */
export const killLive = async (
  berth: Berth,
  of: { readonly name?: string | undefined; readonly user?: string | undefined },
): Promise<RequestTasksResult[]> => killAll(berth, await liveIds(berth, of));

/** Reads all pages before the first kill, because kills change what the next page contains. */
async function liveIds(
  berth: Berth,
  { name = "", user = "" }: { readonly name?: string | undefined; readonly user?: string | undefined },
): Promise<string[]> {
  const ids: string[] = [];
  let pageToken = "";
  do {
    const page = await berth.tasks.listTasks(ListTasksRequest.fromPartial({ name, user, pageSize: 1000, pageToken }));
    for (const task of page.tasks) ids.push(task.id);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return ids;
}

async function killAll(berth: Berth, ids: readonly string[]): Promise<RequestTasksResult[]> {
  const results: RequestTasksResult[] = [];
  for (let at = 0; at < ids.length; at += batch) {
    const answer = await berth.tasks.requestTasks(
      { taskIds: ids.slice(at, at + batch), request: TaskRequest.KILL },
      { patienceMs: 20_000 },
    );
    results.push(...answer.results);
  }
  return results;
}

/** Prints what became of each, and sets the exit code of the first that failed. */
export function printResults(results: readonly RequestTasksResult[], json: boolean): void {
  const failed = results.find((result) => result.failure);
  if (failed?.failure) process.exitCode = exitCodeFor(fromFailure(failed.failure));
  if (json) return printJson(RequestTasksResponse.toJSON({ results: [...results] }));
  if (results.length === 0) return note("no tasks wait or run");
  for (const { taskId, failure, outcome, state } of results) {
    if (failure) note(`berth: ${failure.message}`);
    else if (stateFromWire(state) === "over" || stateFromWire(state) === "archived")
      print(`${taskId}  ${outcomeFromWire(outcome) ?? "over"}`);
    else print(`${taskId}  kill requested`);
  }
}
