import { existsSync, readFileSync } from "node:fs";
import { AppError } from "@berth/core";
import { Task, TaskRequest, TaskState } from "@berth/contracts/types";
import { connectBerth } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import { Option } from "commander";
import type { Command } from "commander";
import { defaultDataDir, isUp, layoutOf, takeDown, takeLock } from "@berth/local";
import type { Layout } from "@berth/local";
import type { ClientFile } from "@berth/local/first-user";
import { terminalProgress } from "../output/terminal-progress.ts";
import { untilOver } from "../follow-task.ts";
import { leaveClusterHere } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { note, print, printJson } from "../output/print.ts";

interface DownFlags {
  readonly data?: string;
  readonly kill?: boolean;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const liveStates = [TaskState.PLACED, TaskState.RUNNING, TaskState.SUSPENDED];
const shown = 20;

export function register(program: Command, { env }: Caller): void {
  program
    .command("down")
    .description("Stops the cluster of this machine. Refuses while tasks run.")
    .option("--data <dir>", "the cluster's data directory")
    .addOption(new Option("--kill", "kill the running tasks").conflicts("keep"))
    .option("--keep", "let tasks and the agent run on; only the other services are stopped")
    .option("--json", "answer in JSON")
    .action(async (flags: DownFlags) => {
      const layout = layoutOf(flags.data || defaultDataDir(env), env);
      if (!isUp(layout)) {
        goBackToLogin(layout, env);
        return flags.json
          ? printJson({ stopped: false, reason: "NOT_UP" })
          : print(`No cluster of ${layout.data} is up.`);
      }
      const unlock = await takeLock(layout);
      const live = await liveTasks(layout).catch((error: unknown) => {
        if (!flags.keep || AppError.from(error).code !== "unavailable") throw unknownTasks(error);
        return undefined;
      });
      if (live === undefined) {
        await takeDown(layout, ["agent"], terminalProgress());
        unlock();
        goBackToLogin(layout, env);
        if (flags.json) printJson({ stopped: true, killed: [], kept: [], tasksUnknown: true });
        else print("Down, but for the agent and what it runs. berth up takes them back.");
        return;
      }
      if (live.length > 0 && !flags.kill && !flags.keep) {
        unlock();
        if (flags.json)
          printJson({ stopped: false, reason: "TASKS_RUN", tasks: live.map((task) => Task.toJSON(task)) });
        throw new AppError(
          "precondition",
          "TASKS_RUN",
          `${live.length} task(s) run:\n${listed(live)}\nend them with --kill, or leave them running with --keep`,
        );
      }
      if (live.length > 0 && flags.kill) await killAll(layout, live);
      const keep = flags.keep && live.length > 0 ? ["agent"] : [];
      await takeDown(layout, keep, terminalProgress());
      if (existsSync(layout.run)) unlock();
      goBackToLogin(layout, env);
      if (flags.json)
        printJson({
          stopped: true,
          killed: flags.kill ? live.map((task) => task.id) : [],
          kept: flags.keep ? live.map((task) => task.id) : [],
        });
      else
        print(
          keep.length > 0 ? `Down, but for ${live.length} task(s) and their agent. berth up takes them back.` : "Down.",
        );
    });
}

/** Undoes what `berth up` chose, also where the cluster ended by itself, as in a reboot. */
function goBackToLogin(layout: Layout, env: NodeJS.ProcessEnv): void {
  const login = leaveClusterHere(layout.clientFile, env);
  if (login !== undefined) note(`berth talks to ${login} again, where you logged in`);
}

/** Tasks that are on hosts. An array is replaced by its elements. */
async function liveTasks(layout: Layout): Promise<Task[]> {
  return withFirstUser(layout, async (berth) => {
    const live: Task[] = [];
    let pageToken = "";
    do {
      const page = await berth.tasks.listTasks({
        user: "*",
        states: liveStates,
        outcomes: [],
        name: "",
        arrayId: "",
        pageSize: 1000,
        pageToken,
        all: false,
        taskIds: [],
      });
      for (const task of page.tasks) live.push(...(task.spec?.array ? await liveElements(berth, task.id) : [task]));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return live;
  });
}

async function liveElements(berth: Berth, arrayId: string): Promise<Task[]> {
  const { tasks } = await berth.tasks.listTasks({
    user: "*",
    states: liveStates,
    outcomes: [],
    name: "",
    arrayId,
    pageSize: 1000,
    pageToken: "",
    all: false,
    taskIds: [],
  });
  return tasks;
}

/** Requests the kill of all and waits until they are over, because the agent must carry that out before it is stopped. */
async function killAll(layout: Layout, live: readonly Task[]): Promise<void> {
  await withFirstUser(layout, async (berth) => {
    const ids = live.map((task) => task.id);
    for (let at = 0; at < ids.length; at += 10_000)
      await berth.tasks.requestTasks({ taskIds: ids.slice(at, at + 10_000), request: TaskRequest.KILL });
    await untilOver(berth, ids, { signal: AbortSignal.timeout(120_000) }, () => {});
  });
}

/** The refusal where the gateway cannot list the tasks: only `--keep` is safe then. */
function unknownTasks(error: unknown): AppError {
  const known = AppError.from(error);
  if (known.code !== "unavailable") return known;
  const words = `the cluster does not say which tasks run (${known.message}); berth down --keep stops it and leaves the agent with what it runs`;
  return new AppError("precondition", "TASKS_UNKNOWN", words, { cause: error });
}

async function withFirstUser<T>(layout: Layout, fn: (berth: Berth) => Promise<T>): Promise<T> {
  if (!existsSync(layout.clientFile))
    throw new AppError("unavailable", "NO_CLIENT_FILE", "its first user was never made");
  const { server, key } = JSON.parse(readFileSync(layout.clientFile, "utf8")) as ClientFile;
  const berth = connectBerth({ address: server, credential: key });
  try {
    return await fn(berth);
  } finally {
    berth.close();
  }
}

function listed(live: readonly Task[]): string {
  const lines = live
    .slice(0, shown)
    .map((task) => `  ${task.id}  ${task.identity?.user ?? ""}  ${task.spec?.name ?? ""}  on ${task.hostId}`);
  return [...lines, ...(live.length > shown ? [`  and ${live.length - shown} more`] : [])].join("\n");
}
