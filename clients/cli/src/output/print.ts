import { renderTable, terminalWidth } from "./table.ts";
import type { Column } from "./table.ts";

export const print = (text: string): void => void process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);

/** One document, for programs. */
export const printJson = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

export const printTable = (columns: readonly Column[], rows: readonly (readonly string[])[]): void =>
  print(renderTable(columns, rows, terminalWidth()));

/** For people, beside the output that programs read. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);
