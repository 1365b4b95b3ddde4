import type { Database } from "@berth/database";
import type { LeaseRecord } from "../../ports/records.ts";

export const readLease = (db: Database, name: string): LeaseRecord | undefined =>
  db.sql("SELECT name, holder, term, expires_at FROM leases WHERE name = ?").get(name) as unknown as
    | LeaseRecord
    | undefined;

export const writeLease = (db: Database, { name, holder, term, expires_at }: LeaseRecord): void =>
  void db
    .sql(
      `INSERT INTO leases (name, holder, term, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       holder = excluded.holder, term = excluded.term, expires_at = excluded.expires_at`,
    )
    .run(name, holder, term, expires_at);

export const schedulerTerm = (db: Database): number => readLease(db, "scheduler")?.term ?? 0;
