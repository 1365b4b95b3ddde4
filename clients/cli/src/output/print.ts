import { printable, renderTable, terminalWidth } from "./table.ts";
import type { Column } from "./table.ts";

/** Prints text for people, with control characters as escapes; line ends are kept. */
export const print = (text: string): void => void process.stdout.write(`${printableLines(text)}\n`);

/** One document per line, for programs. Characters that a terminal would act on are written as JSON escapes. */
export const printJson = (value: unknown): void => void process.stdout.write(`${plainJson(value)}\n`);

/** JSON leaves DEL, C1 controls and bidirectional marks as they are; their escapes mean the same to a program. */
export const plainJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

export const printTable = (columns: readonly Column[], rows: readonly (readonly string[])[]): void =>
  void process.stdout.write(renderTable(columns, rows, terminalWidth()));

/** Prints a line for people on standard error, so that programs can read standard output. */
export const note = (text: string): void => void process.stderr.write(`${printableLines(text)}\n`);

/** Warns of input that has no effect, or not the effect that it seems to have. */
export const warn = (text: string): void => note(`berth: warning: ${text}`);

/** As `printable`, but line ends stay; one at the end is dropped. */
export const printableLines = (text: string): string => text.replace(/\n$/, "").split("\n").map(printable).join("\n");
