import type { AcquireLeaseRequest, AcquireLeaseResponse, ReleaseLeaseRequest } from "@berth/contracts/store";
import type { Database } from "@berth/database";

/** Takes or renews a lease. Only the database's clock counts; a new holder gets a new term, a holder that renews (late, too) keeps its own. */
export function acquireLease(
  db: Database,
  now: number,
  { name, holder, ttlMs }: AcquireLeaseRequest,
): AcquireLeaseResponse {
  const row = db.sql("SELECT holder, term, expires_at FROM leases WHERE name = ?").get(name);
  const expiresAt = now + Math.max(0, ttlMs);
  if (!row) {
    db.sql("INSERT INTO leases (name, holder, term, expires_at) VALUES (?, ?, 1, ?)").run(name, holder, expiresAt);
    return { held: true, term: 1, holder };
  }
  const term = Number(row["term"]);
  if (row["holder"] === holder) {
    db.sql("UPDATE leases SET expires_at = ? WHERE name = ?").run(expiresAt, name);
    return { held: true, term, holder };
  }
  if (Number(row["expires_at"]) > now) return { held: false, term, holder: String(row["holder"]) };
  db.sql("UPDATE leases SET holder = ?, term = ?, expires_at = ? WHERE name = ?").run(
    holder,
    term + 1,
    expiresAt,
    name,
  );
  return { held: true, term: term + 1, holder };
}

/** Gives a lease back. Its term stays, so that the next holder's is larger. */
export function releaseLease(db: Database, { name, holder }: ReleaseLeaseRequest): void {
  db.sql("UPDATE leases SET holder = '', expires_at = 0 WHERE name = ? AND holder = ?").run(name, holder);
}

export const schedulerTerm = (db: Database): number =>
  Number(db.sql("SELECT term FROM leases WHERE name = 'scheduler'").get()?.["term"] ?? 0);
