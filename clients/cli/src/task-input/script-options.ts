import { Command, CommanderError } from "commander";
import { usageError } from "../exit.ts";
import { addTaskOptions } from "./task-options.ts";
import { mergeWishes } from "./task-wish.ts";
import type { TaskWish } from "./task-wish.ts";

/**
 * What a script says of itself in lines such as `#BERTH --mem 2G`, before its first command. Throws `invalid`, naming file, line and rule.
 */
export function readScriptOptions(script: string, file: string): TaskWish {
  let wish: TaskWish = {};
  for (const [at, line] of script.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line) === false) break;
    const match = /^#BERTH\s+(.*)$/.exec(line.trimEnd());
    if (match) wish = mergeWishes(wish, readLine(match[1]!, `${file}:${at + 1}`));
  }
  return wish;
}

function readLine(text: string, place: string): TaskWish {
  const command = new Command()
    .exitOverride()
    .configureOutput({ writeErr() {}, writeOut() {} })
    .allowExcessArguments(false)
    .helpOption(false);
  const wishOf = addTaskOptions(command, (option) => `${place}: ${option}`);
  try {
    command.parse(splitWords(text, place), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) throw usageError(place, error.message.replace(/^error: /, ""));
    throw error;
  }
  return wishOf();
}

/** Splits a line into words as a shell does: at blanks, but not inside quotes; # begins a comment. Expands nothing. */
export function splitWords(text: string, place: string): string[] {
  const words: string[] = [];
  const token = /\s*(?:(#.*$)|((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+))/gy;
  while (token.lastIndex < text.trimEnd().length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) throw usageError(place, `a quote is not closed: ${text.slice(at).trim()}`);
    if (match[1] !== undefined) break;
    words.push(
      match[2]!.replaceAll(
        /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
        (_, double?: string, single?: string, escaped?: string) =>
          double?.replaceAll(/\\(.)/g, "$1") ?? single ?? escaped ?? "",
      ),
    );
  }
  return words;
}
