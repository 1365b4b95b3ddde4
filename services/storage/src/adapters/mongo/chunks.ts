import { chunkByIndex } from "../form/folded-chunk.ts";
import type { FoldedRow } from "../form/folded-chunk.ts";
import { unfolded } from "../form/unfolded.ts";
import { taskKey } from "./collections.ts";
import type { ChunkDoc, TaskDoc } from "./collections.ts";

type Rows = ReadonlyMap<number, FoldedRow>;

const decoded = new WeakMap<ChunkDoc, Rows>();

/** Rows by index, decoded once a document: a host that was away may repeat a thousand reports of one. */
export function rowsOf(chunk: ChunkDoc): Rows {
  let rows = decoded.get(chunk);
  if (!rows) decoded.set(chunk, (rows = chunkByIndex(Number(chunk._id.split("/")[0]), chunk.body)));
  return rows;
}

/** An element that was folded, as it was before. */
export function unfold(chunk: ChunkDoc | undefined, whole: TaskDoc, idx: number): TaskDoc | undefined {
  const row = chunk && rowsOf(chunk).get(idx);
  return row && { ...unfolded(row, whole), _id: taskKey(whole.number, idx) };
}
