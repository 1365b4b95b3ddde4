import { readFileSync } from "node:fs";
import { AppError } from "@berth/core";
import { SubmitTaskRequest } from "@berth/contracts/api";
import { LogStream } from "@berth/contracts/store";
import { Outcome } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import { connectBerth, readOutput } from "@berth/sdk";
import type { Berth } from "@berth/sdk";
import type { Command } from "commander";
import { countScript, mergeScript, prepareTexts } from "../demo/demo.ts";
import type { ClientFile } from "@berth/local/first-user";
import { terminalProgress } from "../output/terminal-progress.ts";
import type { Progress } from "@berth/local";
import { drawTimeline } from "../demo/timeline.ts";
import type { Caller } from "../connection.ts";
import { untilOver } from "../follow-task.ts";
import { print, printJson } from "../output/print.ts";
import { installationRoot, upFrom, withUpOptions } from "./up.ts";
import type { UpFlags } from "./up.ts";

const small = { cpuMilli: 500, memoryBytes: 64 * 1024 * 1024 };
const atMostMs = 180_000;

/** `npm start`: a cluster on this machine, and a demo on real input. Exit code 0 only if its answer is right. */
export function register(program: Command, { env }: Caller): void {
  withUpOptions(
    program.command("demo").description("Starts a cluster on this machine and runs a demo on real input."),
  ).action(async (flags: UpFlags) => {
    const { layout, cluster } = await upFrom(flags, env);
    const progress = terminalProgress();
    const { server, key } = JSON.parse(readFileSync(layout.clientFile, "utf8")) as ClientFile;
    const berth = connectBerth({ address: server, credential: key, patienceMs: 30_000 });
    try {
      const texts = prepareTexts(layout, installationRoot);
      const folder = `words-${process.pid}-${Date.now()}`;
      progress.step(
        `counting the words of ${texts.files.length} texts from ${texts.from}: an array of ${texts.files.length} tasks, then one that merges`,
      );
      const count = await berth.tasks.submitTask(
        SubmitTaskRequest.fromPartial({
          spec: {
            name: "count-words",
            script: countScript(folder),
            resources: small,
            volumes: [{ name: "texts", readOnly: true }, { name: "scratch" }],
            array: { first: 1, last: texts.files.length, step: 1 },
          },
          requestId: `demo-count-${folder}`,
        }),
      );
      const merge = await berth.tasks.submitTask(
        SubmitTaskRequest.fromPartial({
          spec: {
            name: "merge",
            script: mergeScript(folder),
            resources: small,
            volumes: [{ name: "scratch" }],
            dependencies: [{ kind: "KIND_AFTER_OK", taskId: count.taskId }],
          },
          requestId: `demo-merge-${folder}`,
        }),
      );
      const [array, merged] = await untilOver(
        berth,
        [count.taskId, merge.taskId],
        { signal: AbortSignal.timeout(atMostMs) },
        (task) => showProgress(progress, task),
      );
      const answer = await outputOf(berth, merge.taskId);
      const wanted = `${texts.words} words in ${texts.files.length} texts`;
      const right = merged?.outcome === Outcome.SUCCEEDED && answer.trim() === wanted;
      progress.done(`array ${count.taskId} and merge ${merge.taskId} are over`);
      const elements = await elementsOf(berth, count.taskId);
      if (flags.json)
        printJson({
          right,
          answer: answer.trim(),
          wanted,
          array: count.taskId,
          merge: merge.taskId,
          driver: cluster.driver,
        });
      else print(story(answer, [...elements, merged!]));
      if (!right)
        throw new AppError(
          "internal",
          "DEMO_WRONG",
          `the demo's answer is ${JSON.stringify(answer.trim())}, not ${JSON.stringify(wanted)}; array ${array?.outcome}, merge ${merged?.outcome}: ${merged?.reason?.message ?? ""}`,
        );
    } finally {
      berth.close();
    }
  });
}

function showProgress(progress: Progress, task: Task): void {
  if (task.progress)
    progress.update(
      `${Object.values(task.progress.ended).reduce((a, b) => a + b, 0)} of ${task.progress.total} counted`,
    );
}

async function outputOf(berth: Berth, taskId: string): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of readOutput(
    berth,
    { taskId, attempt: 0, stream: LogStream.STDOUT, follow: true },
    { signal: AbortSignal.timeout(30_000) },
  ))
    pieces.push(Buffer.from(piece.content));
  return Buffer.concat(pieces).toString("utf8");
}

async function elementsOf(berth: Berth, arrayId: string): Promise<Task[]> {
  const { tasks } = await berth.tasks.listTasks({
    user: "",
    states: [],
    outcomes: [],
    name: "",
    arrayId,
    pageSize: 1000,
    pageToken: "",
    all: true,
    taskIds: [],
  });
  return tasks;
}

function story(answer: string, tasks: readonly Task[]): string {
  const bars = tasks.flatMap((task) =>
    task.startTime && task.endTime
      ? [
          {
            label: `${task.id} ${task.spec?.name || ""}`.trim(),
            startMs: task.startTime.getTime(),
            endMs: task.endTime.getTime(),
          },
        ]
      : [],
  );
  return [
    "",
    `  ${answer.trim()}`,
    "",
    "What ran when:",
    ...drawTimeline(bars).map((line) => `  ${line}`),
    "",
    "Next:",
    "  ./berth run -- echo hello        a task of your own",
    "  ./berth ls --all                 what ran",
    "  ./berth down                     stop the cluster",
    "",
  ].join("\n");
}
