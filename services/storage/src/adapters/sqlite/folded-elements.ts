import type { Database } from "@berth/database";
import type { TaskColumns } from "../../decisions/record/columns.ts";
import { indexesAChunk } from "../../domain/chunk-range.ts";
import { chunkByIndex } from "../form/folded-chunk.ts";
import type { FoldedRow } from "../form/folded-chunk.ts";
import { unfolded } from "../form/unfolded.ts";

const chunksRemembered = 16;

type Rows = ReadonlyMap<number, FoldedRow>;

/** Cache of decoded chunks, the latest last, because a host that was away may repeat a thousand reports of one chunk. */
const decoded = new WeakMap<Database, Map<string, { readonly body: Buffer; readonly rows: Rows }>>();

/** The rows of a chunk by index. The cache compares the stored body, so a failed transaction leaves no stale entry. */
export function chunkRows(db: Database, number: number, chunk: number, body: Uint8Array): Rows {
  let known = decoded.get(db);
  if (!known) decoded.set(db, (known = new Map()));
  const key = `${number}.${chunk}`;
  const found = known.get(key);
  known.delete(key);
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const entry = found?.body.equals(bytes) ? found : { body: bytes, rows: chunkByIndex(number, bytes) };
  known.set(key, entry);
  if (known.size > chunksRemembered) known.delete(known.keys().next().value!);
  return entry.rows;
}

/** A folded element; undefined if it is not folded. */
export function readFolded(db: Database, number: number, idx: number): TaskColumns | undefined {
  // SQLite binds a JavaScript number as REAL, so without the cast the division would not be an integer one.
  const found = db
    .sql(
      `SELECT f.chunk, f.body, t.user, t.state FROM arrays a JOIN tasks t ON t.number = a.number AND t.idx = -1
       JOIN folded f ON f.number = a.number AND f.chunk = (CAST(? AS INTEGER) - a.first) / a.step / ${indexesAChunk} WHERE a.number = ?`,
    )
    .get(idx, number);
  if (!found) return undefined;
  const row = chunkRows(db, number, Number(found["chunk"]), found["body"] as Uint8Array).get(idx);
  return row && unfolded(row, { number, user: String(found["user"]), state: Number(found["state"]) });
}
