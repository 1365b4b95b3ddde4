import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { AuthUser } from "@berth/plugins";
import type { StoredKey } from "../../ports/accounts.ts";
import { SignJWT, calculateJwkThumbprint, exportJWK, importPKCS8 } from "jose";

/** Signs access tokens. */
export interface TokenSigner {
  /** A JWT with sub, role and the API key of the session, and its expiry, which is never after that of the key. */
  sign(user: AuthUser, key?: Pick<StoredKey, "id" | "expiresAt">): Promise<{ accessToken: string; expiresAt: Date }>;
  /** The public key, as JSON of a JWK set. */
  readonly jwksJson: string;
}

/** Short, because a service that only verifies the signature does not notice a revocation. The gateway asks auth every few seconds. */
export const tokenLifeMs = 15 * 60_000;

/** Signs with an Ed25519 key in PEM. All copies of auth have the same key. */
export async function edDsaSigner(pem: string, now: () => Date): Promise<TokenSigner> {
  const privateKey = await importPKCS8(pem, "EdDSA");
  const publicJwk = await exportJWK(createPublicKey(pem));
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    jwksJson: JSON.stringify({ keys: [{ ...publicJwk, kid, alg: "EdDSA", use: "sig" }] }),
    async sign(user, key) {
      const issued = Math.floor(now().getTime() / 1000);
      const keyEnds = key?.expiresAt ? Math.floor(key.expiresAt.getTime() / 1000) : Infinity;
      const ends = Math.min(issued + tokenLifeMs / 1000, keyEnds);
      const accessToken = await new SignJWT({ role: user.role, ...(key ? { key: key.id } : {}) })
        .setProtectedHeader({ alg: "EdDSA", kid })
        .setSubject(user.name)
        .setIssuer("berth")
        .setAudience("berth")
        .setIssuedAt(issued)
        .setExpirationTime(ends)
        .sign(privateKey);
      return { accessToken, expiresAt: new Date(ends * 1000) };
    },
  };
}

export const newTokenKey = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
