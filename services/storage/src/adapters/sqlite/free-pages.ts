import type { Database } from "@berth/database";

/** Free pages to keep for reuse: 16 MB and a quarter of the file. */
const keptPages = 4_096;
const keptShare = 4;
/** About 5 ms of the event loop. */
const pagesAtOnce = 250;

/** Whether many pages are free. False for a file that was made without incremental vacuum. */
export function arePagesDue(db: Database): boolean {
  const value = (name: string) => Number(db.sql(`PRAGMA ${name}`).get()?.[name] ?? 0);
  const kept = Math.max(keptPages, Math.floor(value("page_count") / keptShare));
  return value("freelist_count") > kept && value("auto_vacuum") !== 0;
}

/** Returns some free pages to the file system. True if more should follow. Call it in a transaction. */
export function giveBackPages(db: Database): boolean {
  db.exec(`PRAGMA incremental_vacuum(${pagesAtOnce})`);
  return arePagesDue(db);
}
