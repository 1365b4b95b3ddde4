import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { MiB } from "@berth/core";
import { usageError } from "../exit.ts";
import { readScriptOptions } from "./script-options.ts";
import { isTaskOption } from "./task-options.ts";
import type { Program, TaskWish } from "./task-wish.ts";

/** What to run, and what a script says of itself. */
export interface ProgramInput {
  readonly program: Program;
  readonly wish: TaskWish;
}

/**
 * Reads the words behind the options: `-- command…`, `command…` or `script-file [arguments…]`. A first word that is a file here and begins with `#!` or ends in
 * `.sh` is a script; after `--` all is a command. Throws `invalid`.
 */
export function readProgram(words: readonly string[], afterDashes: boolean): ProgramInput {
  const first = words[0];
  if (first === undefined || first === "") throw usageError("command", "give a command behind --, or a script file");
  if (first.startsWith("-"))
    throw usageError("command", `the command's first word is ${first}; Berth's options go before --`);
  if (!afterDashes) {
    // `berth run prog --mem 2G` would run, and quietly without its memory.
    const late = words.find(isTaskOption);
    if (late !== undefined)
      throw usageError(late, "comes behind the command: put it before, or write -- before the command to pass it on");
    const script = readScript(first);
    if (script !== undefined) {
      const name = basename(first);
      const args = words.slice(1);
      const wish = readScriptOptions(script, first);
      return {
        program:
          args.length > 0 ? { kind: "script-with-arguments", script, name, args } : { kind: "script", script, name },
        wish,
      };
    }
  }
  return { program: { kind: "command", command: words }, wish: {} };
}

function readScript(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) {
    if (path.endsWith(".sh"))
      throw usageError("script", `there is no file ${path} here; to run a command of that name, write -- before it`);
    return undefined;
  }
  if (stat.size > MiB) {
    if (path.endsWith(".sh")) throw usageError("script", `${path} has more than 1 MiB`);
    return undefined;
  }
  const text = readFileSync(path, "utf8");
  return text.startsWith("#!") || path.endsWith(".sh") ? text : undefined;
}
