import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/** Ed25519 keys made at the first start and kept, readable by the owner only, in `dataDir`. */
export async function edDsaSigner(dataDir: string, now: () => Date): Promise<TokenSigner> {
  const pem = keyIn(join(dataDir, "token-key.pem"));
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

function keyIn(path: string): string {
  const found = readIfThere(path);
  if (found !== undefined) return found;
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  // Whole or not at all, and never over a key that is there: a half-written one would lock everybody out at the next start.
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, pem, { mode: 0o600, flush: true });
  try {
    linkSync(part, path);
    return pem;
  } catch (error) {
    const other = readIfThere(path);
    if (other === undefined) throw error;
    return other;
  } finally {
    rmSync(part, { force: true });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
