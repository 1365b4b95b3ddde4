export interface Column {
  readonly title: string;
  /** Numbers go right. */
  readonly align?: "right";
  /** Gives way first where the terminal is narrow; several share it. */
  readonly flexible?: boolean;
}

const gap = 2;
const leastFlexible = 6;

/** Rows under their titles, no line wider than `width`; what is cut ends in "…". The last column is not padded. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...cells.map((row) => (row[at] ?? "").length)),
  );
  shrink(columns, widths, width - gap * (columns.length - 1));
  const line = (row: readonly string[]) =>
    columns
      .map((column, at) => {
        const cell = fit(row[at] ?? "", widths[at]!);
        return column.align === "right" ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!);
      })
      .join(" ".repeat(gap))
      .trimEnd();
  return [columns.map((column) => column.title), ...cells].map((row) => `${line(row)}\n`).join("");
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** What others typed must not move the reader's cursor, nor turn the order of what is read: control characters and bidirectional marks are shown as escapes. */
export const printable = (text: string): string =>
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return short[character] ?? (code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`);
  });

const fit = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Takes what is too much from the widest flexible column, again and again; where that is not enough, the line is cut by the terminal. */
function shrink(columns: readonly Column[], widths: number[], available: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    const flexible = widths.map((width, at) => (columns[at]!.flexible && width > leastFlexible ? width : 0));
    const widest = flexible.indexOf(Math.max(...flexible));
    if (flexible[widest] === 0) return;
    widths[widest]! -= 1;
    excess -= 1;
  }
}

/** Width of the terminal; where there is none nothing is cut. */
export const terminalWidth = (): number => (process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY);
