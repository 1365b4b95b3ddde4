import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { AuthUser } from "@berth/plugins";
import { SignJWT, calculateJwkThumbprint, exportJWK, importPKCS8 } from "jose";

/** Makes access tokens. */
export interface TokenSigner {
  /** A JWT with sub and role, and when it ends. */
  sign(user: AuthUser): Promise<{ accessToken: string; expiresAt: Date }>;
  /** JSON of a JWK set with what verifies them. */
  readonly jwksJson: string;
}

/** Short, because a token cannot be called back; whoever holds a key or password gets the next one. */
export const tokenLifeMs = 15 * 60_000;

/** Signs with an Ed25519 key, as PEM: all copies of a cluster have the same. */
export async function edDsaSigner(pem: string, now: () => Date): Promise<TokenSigner> {
  const privateKey = await importPKCS8(pem, "EdDSA");
  const publicJwk = await exportJWK(createPublicKey(pem));
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    jwksJson: JSON.stringify({ keys: [{ ...publicJwk, kid, alg: "EdDSA", use: "sig" }] }),
    async sign(user) {
      const issued = Math.floor(now().getTime() / 1000);
      const ends = issued + tokenLifeMs / 1000;
      const accessToken = await new SignJWT({ role: user.role })
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
