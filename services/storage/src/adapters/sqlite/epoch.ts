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
  /** Inode of the database file. */
  readonly inode: string;
  /** The mark file's content, if there is one. */
  readonly mark: DatabaseMark | undefined;
  /** `BERTH_NEW_EPOCH`: a word that differs from the last one begins a new epoch. Empty: none. */
  readonly newEpoch: string;
}

/** A new epoch that was begun. */
export interface Renewed {
  readonly epoch: string;
  readonly before: string;
  readonly why: string;
  /** Number of runs given up as lost. */
  readonly lost: number;
}

/**
 * Call it once, before the database is used. A database restored from a copy begins a new epoch, and all runs that the copy knows as live are given up as lost, whatever their
 * tasks ask for, because nobody knows whether they ended or still run. Undefined: the epoch goes on.
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
  // Users know tasks of later numbers, which were assigned after the copy was made. These must not be assigned again.
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

/** Forgets which agent has each host name, and marks each host silent, because both are as old as the copy. The first agent that is heard gets the name. */
function forgetAgents(db: Database): void {
  for (const row of db.sql("SELECT id, said FROM hosts").all()) {
    const host = readHost(Buffer.from(row["said"] as Uint8Array));
    if (!host) continue;
    db.sql("UPDATE hosts SET said = ?, silent = 1 WHERE id = ?").run(saidOf({ ...host, agentId: "" }), row["id"]!);
  }
}

/** The epoch of the database; creates it with the database. */
export function epochOf(db: Database, at: number): string {
  const known = readMeta(db, "epoch");
  if (known !== undefined) return known;
  const epoch = uuidV7(at);
  db.transaction(() => writeMeta(db, "epoch", epoch));
  return epoch;
}

/** The next task's number is larger than this. */
export const numberFloor = (db: Database): number => Number(readMeta(db, "number_floor") ?? 0);
