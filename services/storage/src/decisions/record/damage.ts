import { AppError } from "@berth/core";
import type { Reason } from "@berth/core";
import { newArray } from "../../domain/array-record.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import { outcomeOf, overCode, pendingCode, requestOf, stateOf } from "./codes.ts";
import { freshTask } from "./columns.ts";
import type { SpecColumns, TaskColumns } from "./columns.ts";
import { decodeHead, encodeHead } from "./feed-row.ts";

/**
 * The error for a damaged record. It harms its own task alone: a read of many records leaves it out, a read of this one gets this error, and a kill replaces it with
 * a readable record. `what`: the columns that are damaged.
 */
export const recordUnreadable = (number: number, idx: number, what: string, cause?: unknown): AppError => {
  const id = idx < 0 ? `${number}` : `${number}.${idx}`;
  return new AppError(
    "precondition",
    unreadable,
    `the record of task ${id} cannot be read: ${what}; killing the task ends it`,
    {
      metadata: { task_id: id },
      cause,
    },
  );
};

const unreadable = "RECORD_UNREADABLE";

export const isUnreadable = (error: unknown): error is AppError =>
  error instanceof AppError && error.reason === unreadable;

/** The result of `read`; undefined if the record that it reads is damaged. */
export function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

/** A row or document as the database gives it. */
export type Stored = Readonly<Record<string, unknown>>;

/** What can be read of a damaged record, with defaults for the rest. */
export interface Salvaged {
  readonly row: TaskColumns;
  readonly spec: SpecColumns;
  /** Of an array's own record. */
  readonly array: ArrayRecord | undefined;
  /** Names of the columns that are damaged; empty: none is. */
  readonly faults: readonly string[];
}

/** A stored number as a safe integer; undefined if it is not one. */
function whole(value: unknown): number | undefined {
  const number =
    typeof value === "bigint"
      ? Number(value)
      : typeof value === "object" && value !== null && "toNumber" in value
        ? (value as { toNumber(): number }).toNumber()
        : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

const blankTask: Stored = freshTask(0, -1, "", pendingCode);
const codes: Readonly<Record<string, (code: number) => boolean>> = {
  state: (code) => stateOf(code) !== undefined,
  outcome: (code) => code === 0 || outcomeOf(code) !== undefined,
  request: (code) => code === 0 || requestOf(code) !== undefined,
};

/** Names of the columns that are damaged; `blank` tells of each what it holds: text, or a number that may be missing where it is null. */
function faultsOf(blank: Stored, stored: Stored): string[] {
  return Object.entries(blank).flatMap(([name, like]) => {
    const value = stored[name];
    if (typeof like === "string") return typeof value === "string" ? [] : [name];
    if (value === undefined || value === null) return like === null || value === undefined ? [] : [name];
    const number = whole(value);
    return number === undefined || codes[name]?.(number) === false ? [name] : [];
  });
}

function pick<T>(blank: Stored, stored: Stored, faults: readonly string[]): T {
  const columns = Object.entries(blank).map(([name, like]) => {
    const value = stored[name];
    if (faults.includes(name) || value === undefined) return [name, like];
    return [name, typeof value === "string" || value === null ? value : whole(value)];
  });
  return Object.fromEntries(columns) as T;
}

/** Throws RECORD_UNREADABLE where a column holds what no program can count with, or a code that no version wrote. */
export function checkTask(row: TaskColumns): void {
  const faults = faultsOf(blankTask, row as unknown as Stored);
  if (faults.length > 0) throw recordUnreadable(row.number, row.idx, faults.join(", "));
}

/** The same for a row whose numbers the database has checked already. */
export function checkCodes({ number, idx, state, outcome, request }: TaskColumns): void {
  if (stateOf(state) !== undefined && codes["outcome"]!(outcome) && codes["request"]!(request)) return;
  throw recordUnreadable(number, idx, "state, outcome, request");
}

/** Throws RECORD_UNREADABLE where sums with its numbers would be no safe integers, or its range is none. */
export function checkArray(
  number: number,
  array: ArrayRecord & { readonly cpuMs?: number; readonly wallMs?: number },
): void {
  const { range, maxLive, cursor, early, live, waiting, ended, cpuMs = 0, wallMs = 0 } = array;
  const counts = [maxLive, early, live, waiting, cpuMs, wallMs, ...ended.values()];
  if (isRange(range) && Number.isSafeInteger(cursor) && counts.every((n) => Number.isSafeInteger(n) && n >= 0)) return;
  throw recordUnreadable(number, -1, "range, cursor or counts of its array");
}

const isRange = ({ first, last, step }: ArrayRecord["range"]): boolean =>
  [first, last, step, last + step].every((n) => Number.isSafeInteger(n)) && first >= 0 && step >= 1 && last >= first;

const nobody = 65_534;
const blankSpec: Stored = {
  user: "",
  project: "",
  name: "",
  is_array: 0,
  uid: nobody,
  gid: nobody,
  cpu_milli: 0,
  memory_bytes: 0,
  created_at: 0,
};

/** Throws RECORD_UNREADABLE where a column holds what no program can count with. */
export function checkSpec(spec: SpecColumns): void {
  const faults = faultsOf(blankSpec, spec as unknown as Stored);
  if (faults.length > 0) throw recordUnreadable(spec.number, -1, faults.join(", "));
}

function isHead(bytes: unknown): bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array)) return false;
  try {
    decodeHead(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Of a task that is there; `array` where it is an array's own record, as its columns are stored. */
export function salvage(number: number, idx: number, task: Stored, spec: Stored, array: Stored | undefined): Salvaged {
  const taskFaults = faultsOf(blankTask, { ...task, number, idx });
  const specFaults = faultsOf(blankSpec, spec);
  const head = isHead(spec["head"]);
  const deps = spec["deps"] ?? null;
  const hasDeps = deps === null || isHead(deps);
  const range = { first: whole(array?.["first"]), last: whole(array?.["last"]), step: whole(array?.["step"]) };
  const open = array && salvagedArray(range as ArrayRecord["range"], array);
  return {
    row: { ...pick<TaskColumns>(blankTask, task, taskFaults), number, idx },
    spec: {
      ...pick<SpecColumns>(blankSpec, spec, specFaults),
      number,
      head: head ? (spec["head"] as Uint8Array) : encodeHead({}),
      deps: hasDeps ? (deps as Uint8Array | null) : null,
    },
    array: open?.array,
    faults: [
      ...taskFaults,
      ...specFaults,
      ...(head ? [] : ["head"]),
      ...(hasDeps ? [] : ["deps"]),
      ...(open?.faults ?? []),
    ],
  };
}

function salvagedArray(
  range: ArrayRecord["range"],
  stored: Stored,
): { readonly array: ArrayRecord; readonly faults: readonly string[] } {
  if (!isRange(range)) return { array: newArray({ first: 0, last: 0, step: 1 }, 0), faults: ["first, last, step"] };
  const array = newArray(range, whole(stored["max_live"]) ?? 0);
  const faults: string[] = [];
  for (const name of ["cursor", "early", "live", "waiting"] as const) {
    const value = whole(stored[name]);
    if (value === undefined) faults.push(name);
    else array[name] = value;
  }
  const ended = endedOf(stored["ended"]);
  if (!ended) faults.push("ended");
  for (const [outcome, n] of ended ?? []) array.ended.set(outcome, n);
  for (const name of ["cpu_ms", "wall_ms"]) if (whole(stored[name]) === undefined) faults.push(name);
  return { array, faults };
}

function endedOf(stored: unknown): [never, number][] | undefined {
  try {
    const counts = typeof stored === "string" ? (JSON.parse(stored) as object) : (stored as object);
    const entries = Object.entries(counts) as [never, number][];
    return entries.every(([, n]) => Number.isSafeInteger(n)) ? entries : undefined;
  } catch {
    return undefined;
  }
}

/** The damaged record as users see it until a kill ends it. */
export function shownRow({ row, faults }: Salvaged): TaskColumns {
  if (faults.length === 0 || row.state >= overCode) return row;
  const { code, message } = toReason(recordUnreadable(row.number, row.idx, faults.join(", ")));
  return { ...row, reason_code: code, reason_message: message };
}

export const toReason = ({ reason, message }: AppError): Reason => ({ code: reason, message });
