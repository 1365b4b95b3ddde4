import type { Database } from "@berth/database";

/** A word that the database keeps of itself; undefined: none yet. */
export const readMeta = (db: Database, key: string): string | undefined =>
  db.sql("SELECT value FROM meta WHERE key = ?").get(key)?.["value"] as string | undefined;

/** To be called in a transaction. */
export const writeMeta = (db: Database, key: string, value: string): void =>
  void db
    .sql("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
    .run(key, value);

/** Of the last durable change: its row is never purged. */
export const lastRevision = (db: Database): number =>
  Number(db.sql("SELECT max(revision) AS last FROM changes").get()?.["last"] ?? 0);
