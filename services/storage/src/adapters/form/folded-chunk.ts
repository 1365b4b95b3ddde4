import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { LossColumns } from "../../decisions/record/loss-columns.ts";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import { recordUnreadable } from "../../decisions/record/damage.ts";

/** The columns of an ended element that differ between elements of an array. */
export type FoldedRow = Omit<TaskColumns, "number" | "user" | "state" | "request" | keyof LossColumns>;

type Name = keyof FoldedRow;
type Value = string | number | null;

/** Stored by column, so that similar values are adjacent. Some columns are delta-encoded against earlier ones. */
const names = [
  "idx",
  "attempt",
  "revision",
  "request_by",
  "host",
  "journal",
  "detail",
  "avoid",
  "outcome",
  "reason_code",
  "reason_message",
  "exit_code",
  "signal",
  "placed_at",
  "started_at",
  "ended_at",
  "wall_ms",
  "cpu_ms",
  "peak_memory_bytes",
  "stdout_bytes",
  "stderr_bytes",
  "stdout_lost_bytes",
  "stderr_lost_bytes",
  "oom_kills",
  "enforced",
] as const satisfies readonly Name[];

/** The base of a delta: the columns of this row read so far, and the previous row. */
const bases: Partial<Record<Name, (row: Partial<FoldedRow>, before: FoldedRow | undefined) => number>> = {
  idx: (_, before) => before?.idx ?? 0,
  revision: (_, before) => before?.revision ?? 0,
  placed_at: (_, before) => before?.placed_at ?? 0,
  started_at: (row) => row.placed_at ?? 0,
  ended_at: (row) => row.started_at ?? row.placed_at ?? 0,
  wall_ms: (row) => (row.ended_at ?? 0) - (row.started_at ?? row.ended_at ?? 0),
};

/** The value of a column that an older version did not write. */
const absent: Column = { all: null };

/** A column: one value for all rows, or one per row; texts as positions in a list. */
interface Column {
  readonly all?: Value;
  readonly each?: readonly (number | null)[];
  readonly words?: readonly string[];
}

interface Body {
  readonly n: number;
  readonly columns: Readonly<Record<string, Column>>;
}

/** A chunk as it is stored, of what was in it and what is added. `outcomes`: a bit for each outcome in it. */
export function chunkOfRows(known: Iterable<FoldedRow>, added: readonly FoldedRow[]) {
  const rows = [...known, ...added].toSorted((a, b) => a.idx - b.idx);
  return {
    n: rows.length,
    outcomes: rows.reduce((bits, row) => bits | (1 << row.outcome), 0),
    body: encodeChunk(rows),
  };
}

/** Rows by index, about ten bytes each. A column that a later version adds is missing in older bodies and needs a default. */
export function encodeChunk(rows: readonly FoldedRow[]): Uint8Array {
  const columns = Object.fromEntries(names.map((name) => [name, encodeColumn(name, rows)]));
  const body: Body = { n: rows.length, columns };
  return deflateRawSync(JSON.stringify(body));
}

function encodeColumn(name: Name, rows: readonly FoldedRow[]): Column {
  const base = bases[name];
  const values = rows.map((row, at): Value => {
    const value = row[name] ?? null;
    return base && typeof value === "number" ? value - base(row, rows[at - 1]) : value;
  });
  const first = values[0]!;
  if (values.every((value) => value === first)) return { all: first };
  if (typeof first !== "string") return { each: values as (number | null)[] };
  const words = [...new Set(values as string[])];
  const positions = new Map(words.map((word, at) => [word, at]));
  return { words, each: (values as string[]).map((word) => positions.get(word)!) };
}

export function decodeChunk(bytes: Uint8Array): FoldedRow[] {
  const { n, columns } = JSON.parse(inflateRawSync(bytes).toString("utf8")) as Body;
  const rows: FoldedRow[] = [];
  for (let at = 0; at < n; at++) {
    const row: { [K in Name]?: Value } = {};
    for (const name of names) {
      const { all, each, words } = columns[name] ?? absent;
      const value = each === undefined ? all! : words === undefined ? each[at]! : words[each[at]!]!;
      const base = bases[name];
      row[name] = base && typeof value === "number" ? value + base(row as Partial<FoldedRow>, rows[at - 1]) : value;
    }
    rows.push(row as unknown as FoldedRow);
  }
  return rows;
}

/** Rows of an array's chunk by index. Throws RECORD_UNREADABLE where its bytes are damaged. */
export function chunkByIndex(number: number, bytes: Uint8Array): ReadonlyMap<number, FoldedRow> {
  try {
    return new Map(decodeChunk(bytes).map((row) => [row.idx, row]));
  } catch (error) {
    throw recordUnreadable(number, -1, "a chunk of its ended elements", error);
  }
}
