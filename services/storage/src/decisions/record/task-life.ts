import { splitTaskId } from "@berth/core";
import type { TaskLife, TaskState } from "@berth/core";
import { killCode, outcomeOf, requestOf, stateOf } from "./codes.ts";
import type { TaskColumns } from "./columns.ts";

/** Number and idx of an id from outside; undefined where it is none. */
export function readId(id: string): { readonly number: number; readonly idx: number } | undefined {
  const { number, index } = splitTaskId(id);
  if (!Number.isSafeInteger(number) || (index !== undefined && !Number.isSafeInteger(index))) return undefined;
  return { number, idx: index ?? -1 };
}

/** A record as the state machine sees it. A kill of an array is a kill of each of its elements. */
export function lifeOf(row: TaskColumns, array?: { readonly request: number }): TaskLife {
  const request = array?.request === killCode ? killCode : row.request;
  return { state: taskState(row), request: requestOf(request) };
}

function taskState(row: TaskColumns): TaskState {
  const kind = stateOf(row.state);
  switch (kind) {
    case "pending":
      return { kind, attempt: row.attempt };
    case "placed":
    case "running":
    case "suspended":
      return { kind, attempt: row.attempt, hostId: row.host };
    case "over":
    case "archived":
      return {
        kind,
        attempt: row.attempt,
        outcome: outcomeOf(row.outcome) ?? "lost",
        reason: { code: row.reason_code, message: row.reason_message },
      };
  }
}
