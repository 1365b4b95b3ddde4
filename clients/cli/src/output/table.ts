export interface Column {
  readonly title: string;
  /** Align to the right, for numbers. */
  readonly align?: "right";
  /** Shortened if the terminal is too narrow; several flexible columns share the loss. */
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

/** Shows control characters and bidirectional marks as escapes, because text from other users must not move the cursor or reverse the order of text. */
export const printable = (text: string): string =>
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return short[character] ?? (code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`);
  });

const fit = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Shortens the widest flexible column, one character at a time, until the table fits. If no column can be shortened further, the terminal wraps the line. */
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

/** Width of the terminal; infinite if standard output is not one, so that nothing is cut. */
export const terminalWidth = (): number => (process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY);
