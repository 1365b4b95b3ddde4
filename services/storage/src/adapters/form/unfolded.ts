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
