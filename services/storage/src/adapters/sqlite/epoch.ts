import type { Database } from "@berth/database";
import { overCode, placedCode, suspendedCode } from "../../decisions/record/codes.ts";
import { unlessUnreadable } from "../../decisions/record/damage.ts";
import { whyRestored } from "../../domain/database-life.ts";
import type { DatabaseMark } from "../../domain/database-life.ts";
import { databaseRestored } from "../../domain/loss.ts";
import { readHost, saidOf } from "../../decisions/record/host-record.ts";
import { uuidV7 } from "../form/uuid-v7.ts";
import { SqliteRecords } from "./records.ts";
import { giveUp } from "../../decisions/lose-runs.ts";
import { readableTasks } from "./task-rows.ts";
import { lastRevision, readMeta, writeMeta } from "./meta.ts";

export interface Opening {
  readonly now: number;
  /** Of the database's file, as it is now. */
  readonly inode: string;
  /** What was left beside it. */
  readonly mark: DatabaseMark | undefined;
  /** An operator's word that it was restored: another one than the last begins a new epoch. Empty: none. */
  readonly newEpoch: string;
}

/** A new epoch that was begun. */
export interface Renewed {
  readonly epoch: string;
  readonly before: string;
  readonly why: string;
  /** Runs that were given up. */
  readonly lost: number;
}

/**
 * To be called once, before a database is used: one that was restored from a copy begins a new epoch. What ran by the copy is over as lost, whatever its tasks
 * ask for: their runs may have ended, or may still run, and nobody can tell. Undefined: its life goes on.
 */
export function beginLife(db: Database, { now, inode, mark, newEpoch }: Opening): Renewed | undefined {
  const isNew = readMeta(db, "epoch") === undefined;
  const epoch = epochOf(db, now);
  const why =
    whyRestored(
      {
        epoch,
        epochBefore: readMeta(db, "epoch_before") ?? "",
        revision: lastRevision(db),
        inode,
        notedInode: readMeta(db, "inode") ?? "",
      },
      mark,
    ) ?? (newEpoch !== "" && newEpoch !== readMeta(db, "new_epoch") ? "an operator said so" : undefined);
  return db.transaction(() => {
    if (readMeta(db, "inode") !== inode) writeMeta(db, "inode", inode);
    if (newEpoch !== "" && newEpoch !== readMeta(db, "new_epoch")) writeMeta(db, "new_epoch", newEpoch);
    return why === undefined || isNew ? undefined : renew(db, now, epoch, why, mark?.number ?? 0);
  });
}

function renew(db: Database, now: number, before: string, why: string, number: number): Renewed {
  const epoch = uuidV7(now);
  writeMeta(db, "epoch", epoch);
  writeMeta(db, "epoch_before", before);
  // Numbers that were given out after the copy was made name other tasks for whoever got them.
  if (number > numberFloor(db)) writeMeta(db, "number_floor", String(number));
  const live = readableTasks(
    db,
    `FROM tasks INDEXED BY tasks_live WHERE state < ${overCode} AND state BETWEEN ${placedCode} AND ${suspendedCode} AND host <> '' ORDER BY number, idx`,
  );
  const records = new SqliteRecords(
    db,
    {
      counters: { revision: lastRevision(db), number: 0 },
      hosts: { journalOf: () => undefined, declareLost() {} },
      waitedFor: { note() {}, has: () => false },
    },
    now,
  );
  for (const { number: of, idx } of live)
    unlessUnreadable(() => giveUp(records, records.task(of, idx)!, { retry: false, reason: databaseRestored }));
  records.flush();
  forgetAgents(db);
  return { epoch, before, why, lost: live.length };
}

/** Which agent speaks for a host, and that it is up, was true in the copy. The first agent that is heard now has the name, and nothing is placed there before. */
function forgetAgents(db: Database): void {
  for (const row of db.sql("SELECT id, said FROM hosts").all()) {
    const host = readHost(Buffer.from(row["said"] as Uint8Array));
    if (!host) continue;
    db.sql("UPDATE hosts SET said = ?, silent = 1 WHERE id = ?").run(saidOf({ ...host, agentId: "" }), row["id"]!);
  }
}

/** The database's own name for its life, made with it. */
export function epochOf(db: Database, at: number): string {
  const known = readMeta(db, "epoch");
  if (known !== undefined) return known;
  const epoch = uuidV7(at);
  db.transaction(() => writeMeta(db, "epoch", epoch));
  return epoch;
}

/** No task has a smaller number from now on. */
export const numberFloor = (db: Database): number => Number(readMeta(db, "number_floor") ?? 0);
