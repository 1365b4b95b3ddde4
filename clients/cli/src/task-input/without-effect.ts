import { fstatSync, readFileSync } from "node:fs";
import type { TaskSpec } from "@berth/contracts/types";
import type { Berth } from "@berth/sdk";
import { warn } from "../output/print.ts";
import type { Program } from "./task-wish.ts";

/** Programs that, named alone, do nothing but read their standard input. */
const readers = new Set(["sh", "bash", "dash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node", "cat"]);

/** Standard input that looks meant for a command: a task's own is empty. `fd` is where to look, for tests. */
export function stdinWarnings(program: Program, fd = 0): string[] {
  if (program.kind !== "command") return [];
  const name = program.command[0]?.split("/").at(-1) ?? "";
  const onlyReads = program.command.every((word, at) => at === 0 || word === "-" || word === "-s") && readers.has(name);
  const input = inputKind(fd);
  // Many programs run with an open pipe that is never written to. So input from a pipe is read only if the command has nothing else to do.
  return input === "file" || (input === "pipe" && onlyReads)
    ? [`the task's standard input is empty: ${name} will not read the one that is given here`]
    : [];
}

/** A file counts from its beginning: in a loop such as `while read`, a command finds the loop's file, read in part. */
function inputKind(fd: number): "file" | "pipe" | undefined {
  try {
    const stat = fstatSync(fd);
    if (stat.isFIFO()) return "pipe";
    if (!stat.isFile() || stat.size === 0) return undefined;
    const atStart = process.platform !== "linux" || /^pos:\s*0$/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
    return atStart ? "file" : undefined;
  } catch {
    return undefined; // closed
  }
}

/** Warns that an image has no effect if every host runs tasks as processes. If the hosts cannot be listed it prints nothing. */
export async function warnOfImage(berth: Berth, spec: TaskSpec): Promise<void> {
  if (spec.image === "") return;
  const { hosts } = await berth.hosts.listHosts({}).catch(() => ({ hosts: [] }));
  if (hosts.length > 0 && hosts.every(({ driver }) => driver === "process"))
    warn(`--image has no effect: every host of this cluster runs tasks as processes, without an image`);
}
