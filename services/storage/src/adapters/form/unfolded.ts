import { overCode, stateCode } from "../../decisions/record/codes.ts";
import { noLease } from "../../decisions/record/loss-columns.ts";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import type { FoldedRow } from "./folded-chunk.ts";

const archivedCode = stateCode("archived");

/** The same record as before it was folded. What belongs to an archived array is archived. */
export const unfolded = (row: FoldedRow, whole: Pick<TaskColumns, "number" | "user" | "state">): TaskColumns => ({
  ...row,
  number: whole.number,
  user: whole.user,
  state: whole.state === archivedCode ? archivedCode : overCode,
  request: 0,
  ...noLease,
});

/** Those of a chunk between two indexes, both included. */
export const unfoldedBetween = (
  chunk: ReadonlyMap<number, FoldedRow>,
  whole: Pick<TaskColumns, "number" | "user" | "state">,
  from: number,
  upTo: number,
): TaskColumns[] =>
  [...chunk.values()].filter(({ idx }) => idx >= from && idx <= upTo).map((row) => unfolded(row, whole));
