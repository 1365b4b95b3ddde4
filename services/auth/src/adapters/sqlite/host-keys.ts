import type { Database, Migration } from "@berth/database";
import { hostJoined } from "../../ports/host-keys.ts";
import type { HostKey, HostKeys } from "../../ports/host-keys.ts";

export const hostKeyTables: Pick<Migration, "up"> = {
  up: [
    `CREATE TABLE host_tokens (
      hash TEXT PRIMARY KEY, host TEXT NOT NULL, created_by TEXT NOT NULL, expires_at INTEGER NOT NULL, key_hash TEXT
    ) WITHOUT ROWID, STRICT`,
    `CREATE TABLE host_keys (
      hash TEXT PRIMARY KEY, host TEXT NOT NULL, bus_key TEXT NOT NULL, not_after INTEGER NOT NULL, revoked_at INTEGER
    ) WITHOUT ROWID, STRICT`,
    "CREATE UNIQUE INDEX host_keys_live ON host_keys (host) WHERE revoked_at IS NULL",
  ],
};

export function sqliteHostKeys(database: Database): HostKeys {
  const keyOf = (hash: string) => database.sql("SELECT * FROM host_keys WHERE hash = ?").get(hash);
  return {
    async addToken({ hash, host, createdBy, expiresAt }) {
      database
        .sql("INSERT INTO host_tokens (hash, host, created_by, expires_at) VALUES (?, ?, ?, ?)")
        .run(hash, host, createdBy, expiresAt.getTime());
    },
    async token(hash) {
      const row = database.sql("SELECT * FROM host_tokens WHERE hash = ?").get(hash);
      return (
        row && {
          hash,
          host: String(row["host"]),
          createdBy: String(row["created_by"]),
          expiresAt: new Date(Number(row["expires_at"])),
        }
      );
    },
    useToken: async (hash, keyHash) =>
      database
        .sql("UPDATE host_tokens SET key_hash = ?2 WHERE hash = ?1 AND (key_hash IS NULL OR key_hash = ?2)")
        .run(hash, keyHash).changes > 0,
    async key(hash) {
      const row = keyOf(hash);
      return row && toKey(row);
    },
    async addKey({ hash, host, busKey, notAfter }) {
      database.transaction(() => {
        if (keyOf(hash)) return;
        if (database.sql("SELECT 1 FROM host_keys WHERE host = ? AND revoked_at IS NULL").get(host))
          throw hostJoined(host);
        database
          .sql("INSERT INTO host_keys (hash, host, bus_key, not_after) VALUES (?, ?, ?, ?)")
          .run(hash, host, busKey, notAfter.getTime());
      });
    },
    async extendKey(hash, notAfter) {
      database.sql("UPDATE host_keys SET not_after = max(not_after, ?2) WHERE hash = ?1").run(hash, notAfter.getTime());
    },
    async revoke(host, except, at) {
      return database.transaction(() => {
        database
          .sql("UPDATE host_keys SET revoked_at = ?3 WHERE host = ?1 AND hash <> ?2 AND revoked_at IS NULL")
          .run(host, except, at.getTime());
        return database.sql("SELECT 1 FROM host_keys WHERE host = ? AND hash <> ?").get(host, except) !== undefined;
      });
    },
    revoked: async (now) =>
      database
        .sql("SELECT * FROM host_keys WHERE revoked_at IS NOT NULL AND not_after > ? ORDER BY hash")
        .all(now.getTime())
        .map(toKey),
  };
}

const toKey = (row: Record<string, unknown>): HostKey => ({
  hash: String(row["hash"]),
  host: String(row["host"]),
  busKey: String(row["bus_key"]),
  notAfter: new Date(Number(row["not_after"])),
  revokedAt: row["revoked_at"] === null ? undefined : new Date(Number(row["revoked_at"])),
});
