import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { AuthUser } from "@berth/plugins";
import type { StoredKey } from "../../ports/accounts.ts";
import { SignJWT, calculateJwkThumbprint, exportJWK, importPKCS8 } from "jose";

/** Makes access tokens. */
export interface TokenSigner {
  /** A JWT with sub, role and the key by which it was got, and when it ends: never after that key. */
  sign(user: AuthUser, key?: Pick<StoredKey, "id" | "expiresAt">): Promise<{ accessToken: string; expiresAt: Date }>;
  /** JSON of a JWK set with what verifies them. */
  readonly jwksJson: string;
}

/** Short, so that a service that only verifies tokens is not wrong for long. The gateway asks within seconds whether user and key still hold. */
export const tokenLifeMs = 15 * 60_000;

/** Signs with an Ed25519 key, as PEM: all copies of a cluster have the same. */
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
