import type { Db } from "mongodb";
import { hostJoined } from "../../ports/host-keys.ts";
import type { HostKey, HostKeys } from "../../ports/host-keys.ts";

interface TokenDoc {
  readonly _id: string;
  readonly host: string;
  readonly created_by: string;
  readonly expires_at: Date;
  readonly key_hash: string | null;
}

interface KeyDoc {
  readonly _id: string;
  readonly host: string;
  readonly bus_key: string;
  /** Its number among the keys of its host. */
  readonly number: number;
  readonly not_after: Date;
  readonly revoked_at: Date | null;
}

const duplicateKey = 11_000;
/** Most tries to add a key. Another copy may add one first; the next try sees it. */
const looks = 10;

/** Ensures that a host has at most one key that is not revoked: a copy adds the next key only after all earlier ones are revoked, and only one copy can add it. */
export const createHostKeyIndexes = (db: Db): Promise<string> =>
  db.collection("host_keys").createIndex({ host: 1, number: 1 }, { unique: true });

/** `answered` maps the driver's errors. */
export function mongoHostKeys(db: Db, answered: <T>(call: Promise<T>) => Promise<T>): HostKeys {
  const tokens = db.collection<TokenDoc>("host_tokens");
  const keys = db.collection<KeyDoc>("host_keys");
  return {
    async addToken({ hash, host, createdBy, expiresAt }) {
      const document = { _id: hash, host, created_by: createdBy, expires_at: expiresAt, key_hash: null };
      await answered(tokens.insertOne(document));
    },
    async token(hash) {
      const found = await answered(tokens.findOne({ _id: hash }));
      return found ? { hash, host: found.host, createdBy: found.created_by, expiresAt: found.expires_at } : undefined;
    },
    useToken: async (hash, keyHash) =>
      (
        await answered(
          tokens.updateOne({ _id: hash, key_hash: { $in: [null, keyHash] } }, { $set: { key_hash: keyHash } }),
        )
      ).matchedCount > 0,
    async key(hash) {
      const found = await answered(keys.findOne({ _id: hash }));
      return found ? toKey(found) : undefined;
    },
    async addKey({ hash, host, busKey, notAfter }) {
      for (let look = 1; ; look++) {
        if (await answered(keys.findOne({ _id: hash }))) return;
        const earlier = await answered(keys.find({ host }).toArray());
        if (earlier.some((key) => key.revoked_at === null)) throw hostJoined(host);
        const fields = { host, number: earlier.length, bus_key: busKey, not_after: notAfter, revoked_at: null };
        try {
          await answered(keys.insertOne({ _id: hash, ...fields }));
          return;
        } catch (error) {
          if (!isDuplicate(error) || look === looks) throw error;
        }
      }
    },
    async extendKey(hash, notAfter) {
      await answered(keys.updateOne({ _id: hash }, { $max: { not_after: notAfter } }));
    },
    async revoke(host, except, at) {
      const others = { host, _id: { $ne: except } };
      await answered(keys.updateMany({ ...others, revoked_at: null }, { $set: { revoked_at: at } }));
      return (await answered(keys.findOne(others))) !== null;
    },
    revoked: async (now) =>
      (
        await answered(
          keys
            .find({ revoked_at: { $ne: null }, not_after: { $gt: now } })
            .sort({ _id: 1 })
            .toArray(),
        )
      ).map(toKey),
  };
}

/** Also recognises a driver's error that was mapped before. */
const isDuplicate = (error: unknown): boolean =>
  [error, error instanceof Error ? error.cause : undefined].some(
    (one) => one instanceof Error && "code" in one && one.code === duplicateKey,
  );

const toKey = ({ _id, host, bus_key: busKey, not_after: notAfter, revoked_at: revokedAt }: KeyDoc): HostKey => ({
  hash: _id,
  host,
  busKey,
  notAfter,
  revokedAt: revokedAt ?? undefined,
});
