import { invalidField } from "@berth/core";
import { outcomeFromWire, stateFromWire } from "@berth/contracts";
import type { ListTasksRequest } from "@berth/contracts/store";
import { outcomeCode, overCode, stateCode } from "./record/codes.ts";
import type { SpecColumns, TaskColumns } from "./record/columns.ts";

export type Wanted = (row: TaskColumns, spec: SpecColumns) => boolean;

/** Whether a record passes the filter of a list request. */
export function filterOf(request: ListTasksRequest): Wanted {
  const states = new Set(request.states.map((state) => stateCode(stateFromWire(state) ?? "archived")));
  const outcomes = new Set(request.outcomes.map((outcome) => outcomeCode(outcomeFromWire(outcome))));
  const prefix = request.name.endsWith("*") ? request.name.slice(0, -1) : undefined;
  return (row, spec) =>
    (request.user === "" || spec.user === request.user) &&
    (states.size === 0 || states.has(row.state)) &&
    (outcomes.size === 0 || outcomes.has(row.outcome)) &&
    (request.name === "" || (prefix === undefined ? spec.name === request.name : spec.name.startsWith(prefix)));
}

/** Whether a list request asks for nothing that is over. */
export const asksOnlyLive = ({ states }: Pick<ListTasksRequest, "states">): boolean =>
  states.length > 0 && states.every((state) => stateCode(stateFromWire(state) ?? "archived") < overCode);

/** A page token is the place where the next page begins; the filter comes with each request. */
export function readPlace(token: string, fallback: number): number {
  if (token === "") return fallback;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(token)) throw invalidField("page_token", "must come from the page before");
  return Number(token);
}

/** A set of codes as a number, one bit per code; no code stands for all of them. */
export const bits = (codes: readonly number[]): number =>
  codes.length === 0 ? 0x7fff : codes.reduce((set, code) => set | (1 << code), 0);
