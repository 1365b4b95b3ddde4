import { pendingCode, stateOf } from "../../decisions/record/codes.ts";
import { databaseRestored } from "../../domain/loss.ts";
import { isLive } from "@berth/core";
import type { MongoRecords } from "./records.ts";
import type { MongoCalls } from "./calls.ts";
import type { WriterDoc } from "./collections.ts";
import { giveUp } from "../../decisions/lose-runs.ts";
import type { Call } from "./transactions.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { toTasks } from "./task-doc.ts";
import { uuidV7 } from "../form/uuid-v7.ts";

/** How many task numbers are skipped, because it is unknown how many were issued after the backup was made. */
const numbersLeftOut = 100_000;
const runsAtOnce = 500;

export interface Life {
  readonly writer: WriterDoc;
  /** The epoch before, where this store began a new one. */
  readonly before: string | undefined;
}

/**
 * Begins a new epoch if the operator has set a new word, which says that the database was restored from a backup: MongoDB itself does not show that. Of several
 * stores with the same word one does it. Stores that still run on the old epoch are refused at their next write.
 */
export async function beginLife(calls: MongoCalls, writer: WriterDoc, word: string, now: number): Promise<Life> {
  if (word === "" || writer.new_epoch === word) return { writer, before: undefined };
  const isNew = writer.revision === 0 && writer.number === 0;
  const renewed = {
    new_epoch: word,
    ...(isNew ? {} : { epoch: uuidV7(now), renewed_at: writer.revision, number: writer.number + numbersLeftOut }),
  };
  const filter = { _id: "writer", new_epoch: writer.new_epoch, epoch: writer.epoch, revision: writer.revision };
  const taken = await calls.findOneAndUpdate("meta", filter, { $set: renewed });
  if (taken) return { writer: taken as unknown as WriterDoc, before: isNew ? undefined : writer.epoch };
  const [found] = await calls.find("meta", { _id: "writer" });
  return beginLife(calls, found as unknown as WriterDoc, word, now);
}

/** Ends all runs that are live in the restored backup as lost, even if their tasks asked for a retry: the old runs may still go on. Continues where a killed store stopped. */
export async function giveUpRestored(
  calls: MongoCalls,
  writer: WriterDoc,
  write: (foresee: Call["foresee"], decide: (records: MongoRecords) => number) => Promise<number>,
): Promise<number> {
  const { renewed_at: upTo } = writer;
  if (upTo === undefined) return 0;
  let lost = 0;
  let after = "";
  for (;;) {
    const filter = { live: 1, _id: { $gt: after }, revision: { $lte: upTo }, state: { $ne: pendingCode } };
    const found = await calls.find("tasks", filter, { sort: { _id: 1 }, limit: runsAtOnce });
    const rows = toTasks(found);
    const last = found.at(-1);
    if (!last) break;
    lost += await write(
      (toLoad) => {
        for (const { number, idx } of rows) toLoad.task(number, idx);
      },
      (records) => {
        const live = rows
          .flatMap(({ _id }) => unlessUnreadable(() => records.record(_id)) ?? [])
          .filter((row) => row.revision <= upTo && isLive(stateOf(row.state)));
        for (const row of live)
          unlessUnreadable(() => giveUp(records, row, { retry: false, reason: databaseRestored }));
        return live.length;
      },
    );
    after = String(last["_id"]);
  }
  await calls.findOneAndUpdate("meta", { _id: "writer", renewed_at: upTo }, { $unset: { renewed_at: "" } });
  return lost;
}
