import { basename } from "node:path";
import { usageError } from "../exit.ts";
import { readScript, scriptWarnings, textOf } from "./script-file.ts";
import { readScriptOptions } from "./script-options.ts";
import { isTaskOption } from "./task-options.ts";
import type { Program, TaskWish } from "./task-wish.ts";

/** What to run, and what a script says of itself. */
export interface ProgramInput {
  readonly program: Program;
  readonly wish: TaskWish;
  /** What looks meant and has no effect, a sentence each. */
  readonly warnings: readonly string[];
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
      const text = textOf(script);
      return {
        program: scriptProgram(script, basename(first), words.slice(1)),
        wish: readScriptOptions(text, first),
        warnings: scriptWarnings(text, first),
      };
    }
  }
  return { program: { kind: "command", command: words }, wish: {}, warnings: [] };
}

/** A script of text without arguments travels as the spec's script; with arguments, or with bytes that are no text, as a file. */
function scriptProgram(script: string | Uint8Array, name: string, args: readonly string[]): Program {
  if (typeof script === "string" && args.length === 0) return { kind: "script", script, name };
  return { kind: "script-file", content: Buffer.from(script as Uint8Array), name, args };
}
