import { isUtf8 } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { MiB } from "@berth/core";
import { usageError } from "../exit.ts";

const byteOrderMark = [0xef, 0xbb, 0xbf];

/** A script as it was read: text where it can be sent as text, else its bytes, which travel as a file. */
export type Script = string | Uint8Array;

/** Reads `path` if it is a script: begins with `#!` or ends in `.sh`. Undefined where it is none. Throws `invalid` for one that cannot run as it is. */
export function readScript(path: string): Script | undefined {
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
  const bytes = readFileSync(path);
  const body = hasMark(bytes) ? bytes.subarray(byteOrderMark.length) : bytes;
  if (!(body[0] === 0x23 && body[1] === 0x21) && !path.endsWith(".sh")) return undefined;
  if (body !== bytes)
    throw usageError(
      path,
      String.raw`begins with a byte order mark, which hides its first line from the system; remove it: sed -i '1s/^\xEF\xBB\xBF//' ${path}`,
    );
  const script = isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : bytes;
  checkScriptText(textOf(script), path);
  return script;
}

/** For a look at its lines; bytes that are not UTF-8 do not matter there. */
export const textOf = (script: Script): string =>
  typeof script === "string" ? script : Buffer.from(script).toString();

/** Refuses a script that no host could run as it is written. `place` is how the user knows it. Throws `invalid`. */
export function checkScriptText(text: string, place: string): void {
  if (text.startsWith("\uFEFF"))
    throw usageError(place, "begins with a byte order mark, which hides its first line from the system; remove it");
  const first = /^#![^\n]*/.exec(text)?.[0];
  if (first?.endsWith("\r"))
    throw usageError(
      place,
      `has Windows line ends: the system would look for the interpreter ${JSON.stringify(first.slice(2).trimStart())}; convert it: sed -i 's/\\r$//' ${place}`,
    );
}

const hasMark = (bytes: Uint8Array): boolean => byteOrderMark.every((byte, at) => bytes[at] === byte);

/** Words that begin the options of other schedulers in their scripts. */
const foreign = /^#(?:SBATCH|PBS|BSUB|COBALT|OAR|\$)(?=\s|$)/;

/** What looks meant in a script and has no effect, a sentence each. */
export function scriptWarnings(text: string, place: string): string[] {
  const lines = text.split("\n");
  const warnings: string[] = [];
  const theirs = lines.flatMap((line, at) => (foreign.test(line) ? [{ line: line.trimEnd(), number: at + 1 }] : []));
  if (theirs.length > 0)
    warnings.push(
      `${place}: Berth does not read ${counted(theirs.map(({ number }) => number))} (${shown(theirs.map(({ line }) => line))}); ` +
        'write them as "#BERTH --cpu 2 --mem 4G --time 1h", or as options of this command',
    );
  const firstCommand = lines.findIndex((line) => !/^\s*(#|$)/.test(line));
  const late = lines.flatMap((line, at) =>
    firstCommand >= 0 && at > firstCommand && /^#BERTH\s/.test(line) ? [at + 1] : [],
  );
  if (late.length > 0)
    warnings.push(
      `${place}: ${counted(late)} with #BERTH ${late.length === 1 ? "comes" : "come"} after the first command, in line ${firstCommand + 1}, and ${late.length === 1 ? "is" : "are"} not read`,
    );
  if (text.includes("\r\n"))
    warnings.push(
      `${place} has Windows line ends, which a shell takes as part of each line; convert it: sed -i 's/\\r$//' ${place}`,
    );
  return warnings;
}

const most = 3;
const counted = (numbers: readonly number[]): string =>
  `${numbers.length === 1 ? "line" : "lines"} ${numbers.slice(0, most).join(", ")}${numbers.length > most ? ` and ${numbers.length - most} more` : ""}`;
const shown = (lines: readonly string[]): string =>
  `${lines
    .slice(0, most)
    .map((line) => line.slice(0, 60))
    .join(", ")}${lines.length > most ? ", …" : ""}`;
