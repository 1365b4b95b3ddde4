import type { Database } from "@berth/database";
import { ElementWalk } from "../../decisions/element-walk.ts";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import { readId } from "../../decisions/record/task-life.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import { unfoldedBetween } from "../form/unfolded.ts";
import { chunkRows } from "./folded-elements.ts";
import { readArray } from "./open-array.ts";
import { shownTasks } from "./salvage.ts";
import { readSpec, readTask } from "./task-rows.ts";

/** Most records per call, because the call blocks the event loop. */
const looksAtOnce = 8_000;

/** Elements by index, as `ElementWalk` gathers them. */
export function pageOfElements(db: Database, page: PageRequest): Page {
  const number = readId(page.request.arrayId)?.number ?? 0;
  const array = readArray(db, number);
  if (!array) return { tasks: [], nextPageToken: "" };
  const whole = readTask(db, number, -1)!;
  const walk = new ElementWalk({ array, whole, spec: readSpec(db, number)! }, page, looksAtOnce);
  while (walk.goesOn) {
    if (walk.canSkip) walk.skipTo(nextRecord(db, number, walk), nextChunk(db, number, walk));
    if (walk.goesOn) walk.take(records(db, number, walk), folded(db, whole, walk));
  }
  return walk.page();
}

function nextRecord(db: Database, number: number, { from }: ElementWalk): number | undefined {
  const found = db.sql("SELECT min(idx) AS idx FROM tasks WHERE number = ? AND idx >= ?").get(number, from);
  return (found?.["idx"] ?? undefined) as number | undefined;
}

function nextChunk(db: Database, number: number, { mayBeOver, chunk, outcomes }: ElementWalk): number | undefined {
  if (!mayBeOver) return undefined;
  const found = db
    .sql(
      "SELECT chunk FROM folded WHERE number = ? AND chunk >= ? AND outcomes & CAST(? AS INTEGER) ORDER BY chunk LIMIT 1",
    )
    .get(number, chunk, outcomes);
  return found && Number(found["chunk"]);
}

function folded(db: Database, whole: TaskColumns, walk: ElementWalk): readonly TaskColumns[] {
  const { chunk, from, upTo } = walk;
  const found = db.sql("SELECT body, outcomes FROM folded WHERE number = ? AND chunk = ?").get(whole.number, chunk);
  if (!found || !walk.needsChunk(Number(found["outcomes"]))) return [];
  return unfoldedBetween(chunkRows(db, whole.number, chunk, found["body"] as Uint8Array), whole, from, upTo);
}

function records(db: Database, number: number, { from, upTo, needsAll, states, outcomes }: ElementWalk): TaskColumns[] {
  const range = "FROM tasks WHERE number = ? AND idx >= ? AND idx <= ?";
  if (needsAll) return shownTasks(db, `${range} ORDER BY idx`, number, from, upTo);
  const filter = "(1 << state) & CAST(? AS INTEGER) AND (1 << outcome) & CAST(? AS INTEGER)";
  return shownTasks(db, `${range} AND ${filter} ORDER BY idx`, number, from, upTo, states, outcomes);
}
