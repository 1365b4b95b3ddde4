import { mongoStartError } from "@berth/database";
import type { AuthUser } from "@berth/plugins";
import type { Collection, Db, Document, MongoClient, ReadConcern } from "mongodb";
import { AppError, databaseUnavailable } from "@berth/core";
import { uidTaken, userExists } from "../../ports/accounts.ts";
import type { Accounts, StoredKey } from "../../ports/accounts.ts";
import type { HostKeys } from "../../ports/host-keys.ts";
import { createHostKeyIndexes, mongoHostKeys } from "./host-keys.ts";

/** The schema: collections, and their indexes besides `_id`. */
const indexes = {
  users: [{ key: { uid: 1 as const }, unique: true }],
  api_keys: [{ key: { user: 1 as const, created_at: 1 as const }, unique: false }],
} as const;

interface UserDoc extends Omit<AuthUser, "name" | "createdAt" | "groups"> {
  readonly _id: string;
  readonly groups: readonly number[];
  readonly password_hash: string;
  readonly created_at: Date;
}

interface KeyDoc {
  readonly _id: string;
  readonly user: string;
  readonly name: string;
  readonly secret_hash: { readonly buffer: Uint8Array };
  readonly created_at: Date;
  readonly expires_at: Date | null;
}

/** Most tries to choose a free uid. Another copy may take the chosen one first. */
const choices = 10;
const duplicateKey = 11_000;

export interface MongoAccounts {
  readonly accounts: Accounts;
  readonly hostKeys: HostKeys;
  /** The key that signs tokens, the same for all copies; made by the first one. */
  tokenKey(make: () => string): Promise<string>;
  close(): Promise<void>;
}

/**
 * Users, API keys and the token key in the MongoDB of `url`, beside the storage's database. The driver is loaded only now. Throws as
 * `mongoStartError` says; each of its methods throws `unavailable` DATABASE_UNAVAILABLE.
 */
export async function openMongoAccounts(url: string): Promise<MongoAccounts> {
  const { MongoClient: Client } = await import("mongodb");
  let client: MongoClient | undefined;
  try {
    client = new Client(url, {
      appName: "berth-auth",
      serverSelectionTimeoutMS: 5_000,
      connectTimeoutMS: 5_000,
      socketTimeoutMS: 30_000, // without it a call whose answer was lost would never end
      ignoreUndefined: true,
    });
    const opened = await client.connect();
    const db = opened.db(databaseOf(opened), {
      writeConcern: { w: "majority", journal: true },
      readConcern: { level: "majority" } as ReadConcern,
      readPreference: "primary",
    });
    for (const [name, forms] of Object.entries(indexes))
      for (const { key, unique } of forms) await db.collection(name).createIndex(key, { unique });
    await createHostKeyIndexes(db);
    return {
      accounts: mongoAccounts(db),
      hostKeys: mongoHostKeys(db, answered),
      tokenKey: (make) => answered(tokenKey(db, make)),
      close: () => opened.close(),
    };
  } catch (error) {
    await client?.close();
    throw mongoStartError(error);
  }
}

/** Name of auth's database, derived from storage's. */
const databaseOf = (client: MongoClient): string => {
  const named = client.db().databaseName;
  return `${named === "test" ? "berth" : named}_auth`;
};

function mongoAccounts(db: Db): Accounts {
  const users = db.collection<UserDoc>("users");
  const keys = db.collection<KeyDoc>("api_keys");
  return {
    addUser: (user, ids, passwordHash) => answered(addUser(users, user, ids, passwordHash)),
    user: async (name) => {
      const doc = await answered(users.findOne({ _id: name }));
      return doc ? toUser(doc) : undefined;
    },
    passwordHash: async (name) => (await answered(users.findOne({ _id: name })))?.password_hash,
    async setDisabled(name, disabled) {
      const doc = await answered(
        users.findOneAndUpdate({ _id: name }, { $set: { disabled } }, { returnDocument: "after" }),
      );
      return doc ? toUser(doc) : undefined;
    },
    disabled: async () =>
      (await answered(users.find({ disabled: true }).sort({ _id: 1 }).toArray())).map(({ _id }) => _id),
    admins: async () =>
      (await answered(users.find({ role: "admin", disabled: false }).sort({ _id: 1 }).toArray())).map(({ _id }) => _id),
    async addKey({ id, user, name, secretHash, createdAt, expiresAt }) {
      const document = {
        _id: id,
        user,
        name,
        secret_hash: Buffer.from(secretHash) as unknown as KeyDoc["secret_hash"],
        created_at: createdAt,
        expires_at: expiresAt ?? null,
      };
      await answered(keys.insertOne(document));
    },
    async key(id) {
      const doc = await answered(keys.findOne({ _id: id }));
      return doc ? toKey(doc) : undefined;
    },
    async keysOf(user) {
      return (await answered(keys.find({ user }).sort({ created_at: 1, _id: 1 }).toArray())).map(toKey);
    },
    removeKey: async (user, id) => (await answered(keys.deleteOne({ _id: id, user }))).deletedCount > 0,
  };
}

async function addUser(
  users: Collection<UserDoc>,
  user: Parameters<Accounts["addUser"]>[0],
  ids: Parameters<Accounts["addUser"]>[1],
  passwordHash: string,
): Promise<AuthUser> {
  for (let choice = 1; ; choice++) {
    if (await users.findOne({ _id: user.name })) throw userExists(user.name);
    const taken = new Set((await users.find({}, { projection: { uid: 1 } }).toArray()).map(({ uid }) => uid));
    const { uid, gid } = ids(taken);
    if (taken.has(uid)) throw uidTaken(uid);
    const { name, createdAt, groups, ...rest } = user;
    const document = {
      ...rest,
      _id: name,
      uid,
      gid,
      groups: [...groups],
      password_hash: passwordHash,
      created_at: createdAt,
    };
    try {
      await users.insertOne(document);
      return { ...user, uid, gid };
    } catch (error) {
      // Another copy took the name or the uid. The next try finds out which.
      if (codeOf(error) !== duplicateKey || choice === choices) throw error;
    }
  }
}

async function tokenKey(db: Db, make: () => string): Promise<string> {
  const keys = db.collection<{ readonly _id: string; readonly pem: string }>("token_key");
  try {
    await keys.updateOne({ _id: "token" }, { $setOnInsert: { pem: make() } }, { upsert: true });
  } catch (error) {
    if (codeOf(error) !== duplicateKey) throw error; // another copy has just made it
  }
  const found = await keys.findOne({ _id: "token" });
  if (!found) throw new AppError("internal", "TOKEN_KEY_LOST", "the key that signs tokens is gone again");
  return found.pem;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw unavailable(error);
  }
}

/** Maps every error of the driver to an unavailable database, because these few calls have no fault of their own. */
const unavailable = (error: unknown): AppError => (error instanceof AppError ? error : databaseUnavailable(error));

const toUser = ({ _id, uid, gid, groups, role, home, email, disabled, created_at: createdAt }: UserDoc): AuthUser => ({
  name: _id,
  uid,
  gid,
  groups: [...groups],
  role,
  home,
  email,
  disabled,
  createdAt,
});

const toKey = (doc: KeyDoc): StoredKey => ({
  id: doc._id,
  user: doc.user,
  name: doc.name,
  secretHash: bytes(doc.secret_hash),
  createdAt: doc.created_at,
  expiresAt: doc.expires_at ?? undefined,
});

/** The driver returns bytes as its own type, which wraps a buffer. */
const bytes = (value: Document): Buffer =>
  Buffer.isBuffer(value) ? value : Buffer.from((value as KeyDoc["secret_hash"]).buffer);
