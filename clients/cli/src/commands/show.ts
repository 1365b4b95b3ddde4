import { formatDuration, formatMemory, parseTaskId } from "@berth/core";
import { hostLeaseOf, outcomeFromWire, requestFromWire } from "@berth/contracts";
import { GetTaskResponse } from "@berth/contracts/api";
import { TaskState } from "@berth/contracts/types";
import type { Task } from "@berth/contracts/types";
import type { Command } from "commander";
import { withBerth } from "../connection.ts";
import type { Caller } from "../connection.ts";
import { print, printJson } from "../output/print.ts";
import { printable } from "../output/table.ts";
import { arrayOf, clock, commandWords, cpuOf, memoryOf, progressWords, stateWords } from "../output/task-words.ts";

export function register(program: Command, caller: Caller): void {
  program
    .command("show")
    .description("Shows everything known of a task, an array or an element.")
    .argument("<id>", "as 17 or 17.4")
    .option("--json", "answer in JSON")
    .action(async (id: string, options: { json?: boolean }) => {
      const answer = await withBerth(caller, (berth) => berth.tasks.getTask({ taskId: parseTaskId(id, "id") }));
      if (options.json) printJson(GetTaskResponse.toJSON(answer));
      else print(describe(answer.task!));
    });
}

/** One line per fact; facts that are not known are left out. */
function describe(task: Task): string {
  const { spec, identity } = task;
  const facts: [string, string | undefined][] = [
    ["task", `${task.id}${spec?.name ? `  ${spec.name}` : ""}`],
    ["state", stateWords(task)],
    ["files", task.state === TaskState.ARCHIVED ? "removed: it ended too long ago" : undefined],
    ["why", task.reason?.message ? `${task.reason.message} (${task.reason.code})` : undefined],
    ["asked for", requestFromWire(task.request)],
    [
      "in GO-Docker's words",
      task.legacy ? [task.legacy.primary, task.legacy.secondary].filter(Boolean).join(", ") : undefined,
    ],
    ["user", identity ? `${identity.user} (uid ${identity.uid}, gid ${identity.gid})` : undefined],
    ["project", spec?.project],
    ["array", arrayOf(task)],
    ["progress", progressWords(task)],
    ["command", spec && spec.command.length > 0 ? commandWords(spec.command) : undefined],
    ["script", spec?.script ? `${spec.script.trimEnd().split("\n").length} lines` : undefined],
    ["image", spec?.image],
    ["asks for", `${cpuOf(task)} cpu, ${memoryOf(task)} memory, at most ${formatDuration(spec?.timeLimitMs ?? 0)}`],
    ["if its host is lost", lossWords(spec)],
    ["enforced there", task.enforced.join(", ")],
    ["priority", spec?.priority ? String(spec.priority) : undefined],
    ["waits for", spec?.dependencies.map((d) => `${d.taskId}${d.kind === "KIND_AFTER_OK" ? " (ok)" : ""}`).join(", ")],
    [
      "environment",
      spec &&
        Object.entries(spec.env)
          .map(([name, value]) => `${name}=${value}`)
          .join(" "),
    ],
    ["volumes", task.mounts.map((m) => `${m.name} at ${m.target}${m.readOnly ? " (ro)" : ""}`).join(", ")],
    ["attempt", task.attempt > 0 ? `${task.attempt} on ${task.hostId}` : undefined],
    ["submitted", task.createTime && clock(task.createTime)],
    ["placed", task.placeTime && clock(task.placeTime)],
    ["started", task.startTime && clock(task.startTime)],
    ["ended", task.endTime && clock(task.endTime)],
    ["used", usageWords(task)],
    [
      "output",
      task.logSizes &&
        `${task.state === TaskState.ARCHIVED ? "removed; it was " : ""}${formatMemory(task.logSizes.stdoutBytes)} stdout, ${formatMemory(task.logSizes.stderrBytes)} stderr`,
    ],
    ["output lost", lostWords(task)],
    ...task.attempts.map((a): [string, string] => [
      `attempt ${a.attempt}`,
      `${outcomeFromWire(a.outcome) ?? "given up"} on ${a.hostId}: ${a.reason?.message ?? ""}`,
    ]),
  ];
  const said = facts.filter((fact): fact is [string, string] => Boolean(fact[1]));
  const width = Math.max(...said.map(([title]) => title.length));
  return said.map(([title, text]) => `${title.padEnd(width)}  ${printable(text)}`).join("\n");
}

/** What happens if the host is lost; undefined for the default, which is to wait. */
function lossWords(spec: Task["spec"]): string | undefined {
  const lease = spec && hostLeaseOf(spec);
  if (!lease) return undefined;
  return `frozen after ${formatDuration(lease.leaseMs)} unheard, then ${lease.after === "retry" ? "run again elsewhere" : "over as lost"}`;
}

function usageWords({ usage }: Task): string | undefined {
  if (!usage) return undefined;
  const peak =
    usage.peakMemoryBytes === undefined
      ? "peak memory not measured"
      : `${formatMemory(usage.peakMemoryBytes)} memory at most`;
  const killed = usage.oomKills
    ? `; the kernel killed ${usage.oomKills} of its processes because it was at its memory limit`
    : "";
  return `${formatDuration(usage.cpuMs)} cpu, ${peak}, in ${formatDuration(usage.wallMs)}${killed}`;
}

function lostWords({ logSizes }: Task): string | undefined {
  const lost = [
    ["stdout", logSizes?.stdoutLostBytes],
    ["stderr", logSizes?.stderrLostBytes],
  ].filter(([, bytes]) => bytes);
  return lost.map(([name, bytes]) => `at least ${bytes} bytes of ${name}`).join(", ") || undefined;
}
