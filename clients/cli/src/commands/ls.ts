import { parseTaskId } from "@berth/core";
import { outcomeNames, outcomeToWire, stateNames, stateToWire } from "@berth/contracts";
import { ListTasksRequest, ListTasksResponse } from "@berth/contracts/api";
import type { Outcome, Task, TaskState } from "@berth/contracts/types";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { usageError } from "../exit.ts";
import { note, printJson, printTable } from "../output/print.ts";
import { arrayOf, arraySpecOf, cpuOf, memoryOf, stateWords, timeOf } from "../output/task-words.ts";

interface Options {
  all?: boolean;
  state?: string[];
  name?: string;
  user?: string;
  limit: string;
  json?: boolean;
}

export function register(program: Command, caller: Caller): void {
  program
    .command("ls")
    .description("Lists my tasks that wait or run, newest first; with the id of an array, its elements.")
    .argument("[array]", "id of an array")
    .option("-a, --all", "ended ones too")
    .option(
      "-s, --state <names>",
      `only these: ${[...stateNames, ...outcomeNames].join(", ")}`,
      (text: string, before: string[] | undefined) => [...(before ?? []), ...text.split(",")],
    )
    .option("--name <name>", "only with this name; a trailing * matches a prefix")
    .option("-u, --user <name>", "of another user, or '*' for everybody (admins)")
    .option("-n, --limit <n>", "at most this many", "500")
    .option("--json", "answer in JSON")
    .action((array: string | undefined, options: Options) => list(caller, array, options));
}

async function list(caller: Caller, array: string | undefined, options: Options): Promise<void> {
  const limit = Number(options.limit);
  if (!/^\d+$/.test(options.limit) || limit < 1) throw usageError("--limit", "must be a whole number from 1");
  const request = ListTasksRequest.fromPartial({
    user: options.user ?? "",
    name: options.name ?? "",
    arrayId: array === undefined ? "" : parseTaskId(array, "array"),
    all: options.all === true || array !== undefined,
    ...readStates(options.state ?? []),
  });
  const answer = await withBerth(caller, async (berth) => {
    if (array !== undefined) await checkIsArray(berth, array);
    const tasks: Task[] = [];
    let page: ListTasksResponse;
    let pageToken = "";
    do {
      page = await berth.tasks.listTasks({ ...request, pageSize: Math.min(1000, limit - tasks.length), pageToken });
      for (const task of page.tasks) tasks.push(task);
      pageToken = page.nextPageToken;
    } while (pageToken !== "" && tasks.length < limit);
    return { ...page, tasks };
  });
  if (options.json) return printJson(ListTasksResponse.toJSON(answer));
  if (answer.tasks.length === 0)
    return note(
      options.all || array !== undefined ? "no tasks" : "no tasks wait or run; berth ls --all shows ended ones",
    );
  printTasks(answer.tasks, options.user !== undefined);
  if (answer.nextPageToken !== "") note(`more than ${limit}; --limit shows more of them`);
}

/** A task that is no array has no elements to list. */
async function checkIsArray(berth: Berth, id: string): Promise<void> {
  const { task } = await berth.tasks.getTask({ taskId: parseTaskId(id, "array") });
  if (task && !arraySpecOf(task)) throw usageError("array", `task ${id} is no array; berth show ${id} shows it`);
}

/** Reads `--state`, which takes states and outcomes, as in `--state failed`. */
function readStates(names: readonly string[]): { states: TaskState[]; outcomes: Outcome[] } {
  const states: TaskState[] = [];
  const outcomes: Outcome[] = [];
  for (const name of names) {
    const state = stateNames.find((known) => known === name);
    const outcome = outcomeNames.find((known) => known === name.replaceAll("-", "_"));
    if (state) states.push(stateToWire(state));
    else if (outcome) outcomes.push(outcomeToWire(outcome));
    else
      throw usageError("--state", `${JSON.stringify(name)} is none of ${[...stateNames, ...outcomeNames].join(", ")}`);
  }
  return { states, outcomes };
}

function printTasks(tasks: readonly Task[], withUser: boolean): void {
  const now = new Date();
  const arrays = tasks.some((task) => task.spec?.array);
  const columns = [
    { title: "ID" },
    ...(withUser ? [{ title: "USER" }] : []),
    { title: "NAME", flexible: true },
    ...(arrays ? [{ title: "ARRAY" }] : []),
    { title: "STATE", flexible: true },
    { title: "CPU", align: "right" as const },
    { title: "MEM", align: "right" as const },
    { title: "HOST", flexible: true },
    { title: "TIME", align: "right" as const },
  ];
  const rows = tasks.map((task) => [
    task.id,
    ...(withUser ? [task.identity?.user ?? ""] : []),
    task.spec?.name ?? "",
    ...(arrays ? [arrayOf(task)] : []),
    stateWords(task),
    cpuOf(task),
    memoryOf(task),
    task.hostId,
    timeOf(task, now),
  ]);
  printTable(columns, rows);
}
