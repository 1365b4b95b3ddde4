import { AppError } from "@berth/core";
import type { Database, Migration } from "@berth/database";
import type { AuthUser } from "@berth/plugins";

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
];

/** An API key as it is kept: the secret is not. */
export interface StoredKey {
  readonly id: string;
  readonly user: string;
  readonly name: string;
  readonly secretHash: Uint8Array;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

/** Users and API keys of the `local` provider; synchronous, durable when a method returns. */
export interface Accounts {
  /** Throws `conflict` USER_EXISTS or UID_TAKEN. `uid` is called inside the transaction with all uids that are taken. */
  addUser(
    user: Omit<AuthUser, "uid" | "gid">,
    ids: (taken: ReadonlySet<number>) => { uid: number; gid: number },
    passwordHash: string,
  ): AuthUser;
  user(name: string): AuthUser | undefined;
  /** Empty where the user has only keys. */
  passwordHash(name: string): string | undefined;
  addKey(key: StoredKey): void;
  key(id: string): StoredKey | undefined;
  /** By time. */
  keysOf(user: string): StoredKey[];
  /** Whether there was such a key of that user. */
  removeKey(user: string, id: string): boolean;
}

export function sqliteAccounts(database: Database): Accounts {
  const userNamed = (name: string) => database.sql("SELECT * FROM users WHERE name = ?").get(name);
  return {
    addUser(user, ids, passwordHash) {
      return database.transaction(() => {
        if (userNamed(user.name))
          throw new AppError("conflict", "USER_EXISTS", `user ${user.name} exists already`, {
            metadata: { user: user.name },
          });
        const taken = new Set(
          database
            .sql("SELECT uid FROM users")
            .all()
            .map((row) => Number(row["uid"])),
        );
        const { uid, gid } = ids(taken);
        if (taken.has(uid))
          throw new AppError("conflict", "UID_TAKEN", `uid ${uid} belongs to another user`, {
            metadata: { uid: String(uid) },
          });
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
    user(name) {
      const row = userNamed(name);
      return row && toUser(row);
    },
    passwordHash(name) {
      const row = userNamed(name);
      return row && String(row["password_hash"]);
    },
    addKey(key) {
      database
        .sql("INSERT INTO api_keys (id, user, name, secret_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)")
        .run(key.id, key.user, key.name, key.secretHash, key.createdAt.getTime(), key.expiresAt?.getTime() ?? null);
    },
    key(id) {
      const row = database.sql("SELECT * FROM api_keys WHERE id = ?").get(id);
      return row && toKey(row);
    },
    keysOf: (user) =>
      database.sql("SELECT * FROM api_keys WHERE user = ? ORDER BY created_at, id").all(user).map(toKey),
    removeKey: (user, id) => database.sql("DELETE FROM api_keys WHERE user = ? AND id = ?").run(user, id).changes > 0,
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
