import { TaskRow } from "@berth/contracts/store";
import type { ArraySpec } from "@berth/contracts/types";
import { arraySize } from "@berth/core";
import { unclaimed } from "../../domain/array-record.ts";
import type { ArrayRecord } from "../../domain/array-record.ts";
import { pendingCode, wireOutcome, wireRequest, wireState } from "./codes.ts";
import type { FeedColumns, SpecColumns } from "./columns.ts";

const empty: TaskRow = TaskRow.decode(new Uint8Array());

/** The part of a feed row that never changes. Protobuf merges it with the rest if one follows the other. */
export const encodeHead = (row: Partial<TaskRow>): Uint8Array => TaskRow.encode({ ...empty, ...row }).finish();

/** Separately, because it is sent only while pending. */
export const encodeDependencies = (dependencies: TaskRow["dependencies"]): Uint8Array | null =>
  dependencies.length > 0 ? TaskRow.encode({ ...empty, dependencies }).finish() : null;

export const decodeHead = (head: Uint8Array): TaskRow => TaskRow.decode(head);

export const arraySpecOf = (array: ArrayRecord): ArraySpec => ({ ...array.range, maxLive: array.maxLive });

export const progressOf = (array: ArrayRecord) => ({
  total: arraySize(array.range),
  unclaimed: unclaimed(array),
  live: array.live,
  waiting: array.waiting,
  ended: Object.fromEntries(array.ended),
  maxLive: array.maxLive,
});

/** An encoded `Change` with a task in it. `array` is given for array records, not for elements. */
export function taskChange(
  revision: number,
  row: FeedColumns,
  spec: Pick<SpecColumns, "head" | "deps">,
  array?: ArrayRecord,
): Buffer {
  const changing = TaskRow.encode({
    ...empty,
    id: row.idx < 0 ? `${row.number}` : `${row.number}.${row.idx}`,
    state: wireState(row.state),
    attempt: row.attempt,
    hostId: row.host,
    journalId: row.journal,
    outcome: wireOutcome(row.outcome),
    reason: row.reason_code === "" ? undefined : { code: row.reason_code, message: row.reason_message },
    request: wireRequest(row.request),
    requestBy: row.request_by,
    startTime: row.started_at === null ? undefined : new Date(row.started_at),
    endTime: row.ended_at === null ? undefined : new Date(row.ended_at),
    exitCode: row.exit_code ?? undefined,
    signal: row.signal ?? undefined,
    avoidHosts: splitList(row.avoid),
    detail: row.detail,
    array: array && arraySpecOf(array),
    cursor: array?.cursor ?? 0,
    progress: array && progressOf(array),
  }).finish();
  const deps = row.idx < 0 && row.state === pendingCode ? spec.deps : null;
  return change(revision, 2, deps === null ? [changing, spec.head] : [changing, spec.head, deps]);
}

const pendingPart = TaskRow.encode({ ...empty, state: wireState(pendingCode) }).finish();
const idTag = (1 << 3) | 2;

/** The same for a pending single task that was never placed: nearly all pending tasks are such. */
export function freshChange(revision: number, number: number, spec: Pick<SpecColumns, "head" | "deps">): Buffer {
  const text = `${number}`;
  const id = Buffer.allocUnsafe(2 + text.length);
  id[0] = idTag;
  id[1] = text.length;
  id.write(text, 2, "latin1");
  return change(
    revision,
    2,
    spec.deps === null ? [id, pendingPart, spec.head] : [id, pendingPart, spec.head, spec.deps],
  );
}

/** An encoded `Change` with a host in it. */
export const hostChange = (revision: number, host: Uint8Array): Buffer => change(revision, 3, [host]);

/** Revision (field 1) and one message (field 2 or 3) made of parts: written by hand because the parts are encoded already. */
function change(revision: number, field: number, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = Buffer.allocUnsafe(1 + varintSize(revision) + 1 + varintSize(length) + length);
  let at = writeVarint(bytes, writeVarint(bytes, 0, 1 << 3), revision);
  at = writeVarint(bytes, writeVarint(bytes, at, (field << 3) | 2), length);
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[next++] = (rest % 128) | 128;
  bytes[next++] = rest;
  return next;
}

/** Lists of token-safe words are stored with commas between them. */
export const splitList = (list: string): string[] => (list === "" ? [] : list.split(","));
