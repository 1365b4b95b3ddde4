import type { MongoCalls } from "./calls.ts";
import { afterChunks, afterElements, attemptKey, chunkKey } from "./collections.ts";

/** The most documents that one step removes. */
const atOnce = 1_000;

/**
 * Removes some of what deleted arrays left: chunks, then earlier attempts of elements. The array's record is deleted already, so no read finds them. Therefore a step
 * needs no transaction, and does no harm if it is interrupted or done twice. Answers whether there was anything to remove.
 */
export async function removeLeftovers(calls: MongoCalls): Promise<boolean> {
  const [array] = await calls.find("remains", {}, { limit: 1 });
  if (!array) return false;
  const number = Number(array["_id"]);
  const removed =
    (await removeSome(calls, "folded", chunkKey(number, 0), afterChunks(number))) ||
    (await removeSome(calls, "attempts", attemptKey(number, 0, 0), afterElements(number)));
  if (!removed) await calls.deleteMany("remains", { _id: number });
  return true;
}

async function removeSome(calls: MongoCalls, name: "folded" | "attempts", from: string, before: string) {
  const range = { _id: { $gte: from, $lt: before } };
  const found = await calls.find(name, range, { sort: { _id: 1 }, limit: atOnce, projection: { _id: 1 } });
  const last = found.at(-1);
  if (!last) return false;
  await calls.deleteMany(name, { _id: { $gte: from, $lte: String(last["_id"]) } });
  return true;
}
