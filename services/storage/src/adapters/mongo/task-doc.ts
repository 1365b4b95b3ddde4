import type { Document } from "mongodb";
import type { ArrayDoc, TaskDoc } from "./collections.ts";
import { indexOf, taskKey } from "./collections.ts";
import { overCode, pendingCode, stateCode } from "../../decisions/record/codes.ts";
import { freshTask } from "../../decisions/record/columns.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { fromSignedLease } from "../../decisions/record/loss-columns.ts";
import { checkTask, salvage, shownRow, unlessUnreadable } from "../../decisions/record/damage.ts";

const archivedCode = stateCode("archived");

/** A record before it is stored. */
export type TaskRecord = Omit<TaskDoc, "_id">;

/** Fields that are always stored: those of indexes and filters, and `retry_on`, because a record without it is of an earlier version. */
const said: ReadonlySet<string> = new Set(["number", "idx", "user", "state", "revision", "host", "retry_on"]);

/** Values that are not stored: half of a record's fields usually have their default. */
const defaults = Object.entries(freshTask(0, -1, "", 0)).filter(([name]) => !said.has(name));
const unsaid = Object.fromEntries(defaults);

/** A record as it is stored. */
export function fromTask(task: TaskDoc): Document {
  const doc: Document = { ...task };
  for (const [name, value] of defaults) if (doc[name] === value) delete doc[name];
  return doc;
}

/** A record as it was. Throws RECORD_UNREADABLE where it is damaged. */
export function toTask(doc: Document): TaskDoc {
  const stored = { ...unsaid, ...doc } as unknown as TaskDoc;
  const task = stored.retry_on === undefined ? { ...stored, ...fromSignedLease(stored.lease_ms) } : stored;
  checkTask(task);
  return task;
}

/** An element as it is shown: of a damaged one what can be read. */
export const shownElement = (doc: Document, number: number, spec: SpecColumns): TaskColumns =>
  unlessUnreadable(() => toTask(doc)) ??
  shownRow(salvage(number, indexOf(String(doc["_id"])), doc, { ...spec }, undefined));

/** Those that can be read. */
export const toTasks = (docs: readonly Document[]): TaskDoc[] =>
  docs.flatMap((doc) => unlessUnreadable(() => toTask(doc)) ?? []);

/** The document of a record, with the fields that only indexes use; they follow from its state. */
export function indexed(row: TaskRecord, at: number, array: ArrayDoc | undefined): TaskDoc {
  const { live: _, parents, ...columns } = row;
  const isLiving = row.state < overCode;
  const isOver = row.state === overCode && row.idx < 0;
  return {
    ...columns,
    _id: taskKey(row.number, row.idx),
    ...(isLiving ? { live: 1 as const } : {}),
    ...(parents && row.state === pendingCode ? { parents } : {}),
    ...(array ? { array } : {}),
    ...(isOver && row.over_at === undefined ? { over_at: at } : {}),
    // An array is archived together with its elements, once all of them are folded.
    ...(row.state === archivedCode && row.idx < 0 ? { phase: 1 as const } : {}),
    ...(isOver && row.phase === undefined && row.unsettled === undefined ? { phase: 0 as const } : {}),
  };
}
