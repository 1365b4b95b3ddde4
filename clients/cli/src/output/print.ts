import { printable, renderTable, terminalWidth } from "./table.ts";
import type { Column } from "./table.ts";

/** For people: what others typed cannot move the reader's cursor. Lines stay lines. */
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

/** For people, beside the output that programs read. */
export const note = (text: string): void => void process.stderr.write(`${printableLines(text)}\n`);

/** Something that looks meant and has no effect, or will not do what it seems to. */
export const warn = (text: string): void => note(`berth: warning: ${text}`);

/** As `printable`, but line ends stay; one at the end is dropped. */
export const printableLines = (text: string): string => text.replace(/\n$/, "").split("\n").map(printable).join("\n");
