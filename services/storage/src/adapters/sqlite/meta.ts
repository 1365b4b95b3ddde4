import type { Database } from "@berth/database";

/** A value of the `meta` table; undefined if it has none. */
export const readMeta = (db: Database, key: string): string | undefined =>
  db.sql("SELECT value FROM meta WHERE key = ?").get(key)?.["value"] as string | undefined;

/** Call it in a transaction. */
export const writeMeta = (db: Database, key: string, value: string): void =>
  void db
    .sql("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
    .run(key, value);

/** Revision of the last durable change. Its feed row is never purged. */
export const lastRevision = (db: Database): number =>
  Number(db.sql("SELECT max(revision) AS last FROM changes").get()?.["last"] ?? 0);
