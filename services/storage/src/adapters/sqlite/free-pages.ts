import type { Database } from "@berth/database";

/** Free pages to keep for reuse: 16 MB and a quarter of the file. */
const keptPages = 4_096;
const keptShare = 4;
/** About 5 ms of the event loop. */
const pagesAtOnce = 250;

/** Whether many pages are used by nothing any more; never where the file was made without a way to give them back. */
export function arePagesDue(db: Database): boolean {
  const value = (name: string) => Number(db.sql(`PRAGMA ${name}`).get()?.[name] ?? 0);
  const kept = Math.max(keptPages, Math.floor(value("page_count") / keptShare));
  return value("freelist_count") > kept && value("auto_vacuum") !== 0;
}

/** Gives some of them back to the file system; tells whether more are to go. To be called in a transaction. */
export function giveBackPages(db: Database): boolean {
  db.exec(`PRAGMA incremental_vacuum(${pagesAtOnce})`);
  return arePagesDue(db);
}
