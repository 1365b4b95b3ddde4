import { createHash, randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import { formatApiKey, parseApiKey } from "../../domain/api-key.ts";
import type { Accounts, StoredKey } from "../../ports/accounts.ts";

/** Creates, finds and revokes API keys. */
export interface ApiKeys {
  /** The key itself is returned only here. The caller checks that the user exists. */
  create(user: string, name: string, ttlMs: number): Promise<{ key: string; info: StoredKey }>;
  /** The key with that secret, if it is neither revoked nor expired. */
  find(key: string): Promise<StoredKey | undefined>;
}

export function apiKeys(accounts: Accounts, now: () => Date): ApiKeys {
  return {
    async create(user, name, ttlMs) {
      const parts = { id: randomId(), secret: randomBytes(32).toString("base64url") };
      const createdAt = now();
      const expiresAt = ttlMs > 0 ? new Date(createdAt.getTime() + ttlMs) : undefined;
      const info: StoredKey = { id: parts.id, user, name, secretHash: fingerprint(parts.secret), createdAt, expiresAt };
      await accounts.addKey(info);
      return { key: formatApiKey(parts), info };
    },
    async find(text) {
      const parts = parseApiKey(text);
      const stored = parts && (await accounts.key(parts.id));
      if (!stored || !timingSafeEqual(fingerprint(parts.secret), stored.secretHash)) return undefined;
      return stored.expiresAt && stored.expiresAt <= now() ? undefined : stored;
    },
  };
}

/** One round of SHA-256. A slow hash would add nothing, because 32 random bytes cannot be guessed. */
const fingerprint = (secret: string): Buffer => createHash("sha256").update(secret).digest();

const randomId = (): string =>
  Array.from({ length: 12 }, () => "abcdefghijklmnopqrstuvwxyz0123456789"[randomInt(36)]).join("");
