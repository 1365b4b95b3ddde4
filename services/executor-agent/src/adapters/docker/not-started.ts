import { closeSync, openSync, readSync } from "node:fs";
import { AppError, runRefusal } from "@berth/core";
import type { Reason } from "@berth/core";
import type { DriverEvent, TaskToRun } from "@berth/plugins";
import { inside } from "./container-spec.ts";
import { EngineError } from "./engine-client.ts";
import type { HeldContainer } from "./held-container.ts";

/** Whether a failed start is the task's fault, so that it fails on every host, or this host's. */
export function notStarted({ run, task }: HeldContainer, thrown: unknown): DriverEvent {
  const { kind, reason } = blame(thrown, task);
  if (kind === "failed") return { kind, run, at: new Date(), reason };
  return { kind, run, at: new Date(), reason: runRefusal(reason.code, reason.message) };
}

function blame(
  thrown: unknown,
  task: TaskToRun | undefined,
): { readonly kind: "failed" | "unable"; readonly reason: Reason } {
  if (thrown instanceof AppError) {
    const { reason: code, message } = thrown;
    const kind = [
      "NAME_TAKEN",
      "STOPPED_BEFORE_START",
      "ENGINE_ERROR",
      "IDENTITY_NOT_POSSIBLE",
      "VOLUME_MISSING",
    ].includes(code)
      ? "unable"
      : "failed";
    return { kind, reason: { code, message } };
  }
  if (!(thrown instanceof EngineError))
    return { kind: "unable", reason: { code: "ENGINE_ERROR", message: withoutHostPaths(String(thrown), task) } };
  const { status } = thrown;
  const message = withoutHostPaths(thrown.message, task);
  if (/docker-init/.test(message)) return { kind: "unable", reason: { code: "ENGINE_ERROR", message } };
  if (/executable file not found|exec: .*no such file or directory/.test(message))
    return { kind: "failed", reason: commandNotFound(task) };
  if (/exec: .*(permission denied|is a directory|exec format error)/.test(message))
    return { kind: "failed", reason: commandNotExecutable(task, message) };
  if (task?.workdir !== undefined && /\bcwd\b|chdir|mkdir|not a directory/.test(message))
    return {
      kind: "failed",
      reason: { code: "WORKDIR_INVALID", message: `the working directory cannot be used: ${message}` },
    };
  if (status === 400 && /invalid reference format/.test(message))
    return { kind: "failed", reason: { code: "IMAGE_INVALID", message: `image ${task?.image}: ${message}` } };
  if (status === 400 && !/bind source path/.test(message))
    return {
      kind: "failed",
      reason: { code: "CONTAINER_INVALID", message: `the engine refuses such a container: ${message}` },
    };
  return { kind: "unable", reason: { code: "ENGINE_ERROR", message: `the container engine says: ${message}` } };
}

/** Replaces host paths in the engine's message by paths inside the container, which the user knows. */
function withoutHostPaths(message: string, task: TaskToRun | undefined): string {
  const places: readonly (readonly [string | undefined, string])[] = task
    ? [
        [task.controlDir, inside.controlDir],
        [task.taskDir, inside.taskDir],
        [task.env["BERTH_ARRAY_DIR"], inside.arrayDir],
        ...task.mounts.map(({ source, target }) => [source, target] as const),
      ]
    : [];
  return places.reduce((text, [path, place]) => (path ? text.replaceAll(path, place) : text), message);
}

/** "No such file" may mean the command, or the interpreter that its first line names. */
export function commandNotFound(task: TaskToRun | undefined): Reason {
  if (!task) return { code: "COMMAND_NOT_FOUND", message: "its command was not found in its image" };
  const program = task.command[0]!;
  const interpreter = isScript(task) ? interpreterOf(program) : undefined;
  if (interpreter !== undefined) {
    const hint = interpreter.includes("\r") ? "; the first line ends with a carriage return, as Windows writes it" : "";
    return {
      code: "INTERPRETER_NOT_FOUND",
      message: `the script's interpreter ${JSON.stringify(interpreter)} was not found in image ${task.image}${hint}`,
    };
  }
  const orInterpreter = program.startsWith("/") ? ", or the interpreter that its first line names," : "";
  return {
    code: "COMMAND_NOT_FOUND",
    message: `command ${withoutHostPaths(program, task)}${orInterpreter} was not found in image ${task.image}`,
  };
}

export const commandNotExecutable = (task: TaskToRun | undefined, why: string): Reason => ({
  code: "COMMAND_NOT_EXECUTABLE",
  message: `${task && isScript(task) ? "the script" : `command ${task?.command[0] ?? ""}`} cannot be executed: ${withoutHostPaths(why, task)}`,
});

/** The kernel limits each argument and variable, and their sum. */
export const argumentsTooLong: Reason = {
  code: "ARGUMENTS_TOO_LONG",
  message: "its command and environment are longer than the kernel of its host allows",
};

const isScript = ({ command, controlDir }: TaskToRun): boolean =>
  controlDir !== undefined && command[0]!.startsWith(`${controlDir}/`);

/** The interpreter that a script's first line names; undefined if it names none. The kernel reads 256 bytes. */
function interpreterOf(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const start = Buffer.alloc(256);
    const text = start.subarray(0, readSync(file, start)).toString("latin1");
    return /^#![ \t]*([^ \t\n]+)/.exec(text)?.[1];
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
