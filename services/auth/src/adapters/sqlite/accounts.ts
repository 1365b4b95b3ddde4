import type { Database, Migration } from "@berth/database";
import type { AuthUser } from "@berth/plugins";
import { hostKeyTables } from "./host-keys.ts";
import { uidTaken, userExists } from "../../ports/accounts.ts";
import type { Accounts, StoredKey } from "../../ports/accounts.ts";

export const migrations: readonly Migration[] = [
  {
    version: 1,
    up: [
      `CREATE TABLE users (
        name TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE, gid INTEGER NOT NULL, groups TEXT NOT NULL, role TEXT NOT NULL,
        home TEXT NOT NULL, email TEXT NOT NULL, password_hash TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
      ) WITHOUT ROWID, STRICT`,
      `CREATE TABLE api_keys (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, secret_hash BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
      ) WITHOUT ROWID, STRICT`,
      "CREATE INDEX api_keys_of_user ON api_keys (user, created_at)",
    ],
  },
  { version: 2, ...hostKeyTables },
];

export function sqliteAccounts(database: Database): Accounts {
  const userNamed = (name: string) => database.sql("SELECT * FROM users WHERE name = ?").get(name);
  return {
    async addUser(user, ids, passwordHash) {
      return database.transaction(() => {
        if (userNamed(user.name)) throw userExists(user.name);
        const taken = new Set(
          database
            .sql("SELECT uid FROM users")
            .all()
            .map((row) => Number(row["uid"])),
        );
        const { uid, gid } = ids(taken);
        if (taken.has(uid)) throw uidTaken(uid);
        database
          .sql(
            "INSERT INTO users (name, uid, gid, groups, role, home, email, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
          )
          .run(
            user.name,
            uid,
            gid,
            JSON.stringify(user.groups),
            user.role,
            user.home,
            user.email,
            passwordHash,
            user.createdAt.getTime(),
          );
        return { ...user, uid, gid };
      });
    },
    async user(name) {
      const row = userNamed(name);
      return row && toUser(row);
    },
    async passwordHash(name) {
      const row = userNamed(name);
      return row && String(row["password_hash"]);
    },
    async setDisabled(name, disabled) {
      database.sql("UPDATE users SET disabled = ? WHERE name = ?").run(disabled ? 1 : 0, name);
      const row = userNamed(name);
      return row && toUser(row);
    },
    disabled: async () =>
      database
        .sql("SELECT name FROM users WHERE disabled = 1 ORDER BY name")
        .all()
        .map((row) => String(row["name"])),
    admins: async () =>
      database
        .sql("SELECT name FROM users WHERE role = 'admin' AND disabled = 0 ORDER BY name")
        .all()
        .map((row) => String(row["name"])),
    async addKey(key) {
      database
        .sql("INSERT INTO api_keys (id, user, name, secret_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)")
        .run(key.id, key.user, key.name, key.secretHash, key.createdAt.getTime(), key.expiresAt?.getTime() ?? null);
    },
    async key(id) {
      const row = database.sql("SELECT * FROM api_keys WHERE id = ?").get(id);
      return row && toKey(row);
    },
    keysOf: async (user) =>
      database.sql("SELECT * FROM api_keys WHERE user = ? ORDER BY created_at, id").all(user).map(toKey),
    removeKey: async (user, id) =>
      database.sql("DELETE FROM api_keys WHERE user = ? AND id = ?").run(user, id).changes > 0,
  };
}

type Row = Record<string, unknown>;

const toUser = (row: Row): AuthUser => ({
  name: String(row["name"]),
  uid: Number(row["uid"]),
  gid: Number(row["gid"]),
  groups: JSON.parse(String(row["groups"])) as number[],
  role: row["role"] === "admin" ? "admin" : "user",
  home: String(row["home"]),
  email: String(row["email"]),
  disabled: row["disabled"] === 1,
  createdAt: new Date(Number(row["created_at"])),
});

const toKey = (row: Row): StoredKey => ({
  id: String(row["id"]),
  user: String(row["user"]),
  name: String(row["name"]),
  secretHash: row["secret_hash"] as Uint8Array,
  createdAt: new Date(Number(row["created_at"])),
  expiresAt: row["expires_at"] === null ? undefined : new Date(Number(row["expires_at"])),
});
