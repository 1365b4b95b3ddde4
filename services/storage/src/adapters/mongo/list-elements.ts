import { ElementWalk } from "../../decisions/element-walk.ts";
import type { SpecColumns, TaskColumns } from "../../decisions/record/columns.ts";
import { readId } from "../../decisions/record/task-life.ts";
import type { Page, PageRequest } from "../../ports/engine.ts";
import { unfoldedBetween } from "../form/unfolded.ts";
import type { MongoCalls } from "./calls.ts";
import { rowsOf } from "./chunks.ts";
import { afterChunks, afterElements, chunkKey, taskKey } from "./collections.ts";
import type { ChunkDoc } from "./collections.ts";
import type { ListDeps } from "./list-tasks.ts";
import { openArray } from "./open-array.ts";
import { bytes } from "./spec-doc.ts";
import { shownElement } from "./task-doc.ts";

/** How much one call looks at: it reads over a network, a chunk's range in each round. */
const looksAtOnce = 4_000;

/** Elements by index, as `ElementWalk` gathers them. */
export async function pageOfElements({ calls, inspect }: ListDeps, page: PageRequest): Promise<Page> {
  const number = readId(page.request.arrayId)?.number ?? 0;
  const { whole, spec } = await inspect(
    (toLoad) => toLoad.task(number, -1),
    (records) => ({ whole: records.task(number, -1), spec: records.spec(number) }),
  );
  if (!whole?.array || !spec) return { tasks: [], nextPageToken: "" };
  const walk = new ElementWalk({ array: openArray(whole, whole.array), whole, spec }, page, looksAtOnce);
  while (walk.goesOn) {
    if (walk.canSkip) walk.skipTo(await nextRecord(calls, number, walk), await nextChunk(calls, number, walk));
    if (!walk.goesOn) break;
    // Records first: what is folded between the two reads is found in both, and taken once.
    const found = await records(calls, spec, number, walk);
    walk.take(found, await folded(calls, whole, walk));
  }
  return walk.page();
}

async function nextRecord(calls: MongoCalls, number: number, { from }: ElementWalk): Promise<number | undefined> {
  const filter = { _id: { $gte: taskKey(number, from), $lt: afterElements(number) } };
  const [record] = await calls.find("tasks", filter, { sort: { _id: 1 }, limit: 1, projection: { idx: 1 } });
  return record && Number(record["idx"]);
}

/** Bodies stay where they are: a bit test in the server would be one more thing that a server may lack. */
async function nextChunk(calls: MongoCalls, number: number, walk: ElementWalk): Promise<number | undefined> {
  if (!walk.mayBeOver) return undefined;
  const filter = { _id: { $gte: chunkKey(number, walk.chunk), $lt: afterChunks(number) } };
  const found = await calls.find("folded", filter, { sort: { _id: 1 }, projection: { outcomes: 1 } });
  const next = found.find((doc) => (Number(doc["outcomes"]) & walk.outcomes) !== 0);
  return next && Number(String(next["_id"]).split("/")[1]);
}

async function records(
  calls: MongoCalls,
  spec: SpecColumns,
  number: number,
  { from, upTo }: ElementWalk,
): Promise<readonly TaskColumns[]> {
  const found = await calls.find("tasks", { _id: { $gte: taskKey(number, from), $lte: taskKey(number, upTo) } });
  return found.map((doc) => shownElement(doc, number, spec));
}

async function folded(calls: MongoCalls, whole: TaskColumns, walk: ElementWalk): Promise<readonly TaskColumns[]> {
  if (!walk.needsAll && !walk.mayBeOver) return [];
  const [found] = await calls.find("folded", { _id: chunkKey(whole.number, walk.chunk) });
  if (!found || !walk.needsChunk(Number(found["outcomes"]))) return [];
  const chunk = { ...(found as unknown as ChunkDoc), body: bytes(found["body"]) };
  return unfoldedBetween(rowsOf(chunk), whole, walk.from, walk.upTo);
}
