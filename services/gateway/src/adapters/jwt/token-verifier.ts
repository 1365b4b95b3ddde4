import { AppError } from "@berth/core";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { GrpcClient } from "@berth/runtime";
import { createLocalJWKSet, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import type { TokenClaims } from "../../app/sessions.ts";

/** A token with an unknown key may be signed with a new key, or forged. So the keys are fetched again, but at most this often. */
const refreshEveryMs = 5_000;

/** Verifies access tokens with auth's public keys, fetched when first needed. Throws `unauthenticated` TOKEN_EXPIRED or BAD_TOKEN. */
export function tokenVerifier(
  auth: Pick<GrpcClient<AuthServiceService>, "getKeySet">,
  now: () => number,
): (token: string) => Promise<TokenClaims> {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  let fetchedAt = -Infinity;

  function fetchKeys(): Promise<JWTVerifyGetKey> {
    fetchedAt = now();
    keys = auth.getKeySet({}).then(({ jwksJson }) => createLocalJWKSet(JSON.parse(jwksJson) as JSONWebKeySet));
    keys.catch(() => (keys = undefined));
    return keys;
  }

  async function claimsOf(token: string, key: JWTVerifyGetKey): Promise<TokenClaims> {
    const { payload } = await jwtVerify(token, key, {
      issuer: "berth",
      audience: "berth",
      algorithms: ["EdDSA"],
      requiredClaims: ["sub", "exp"],
      currentDate: new Date(now()),
    });
    const keyId = typeof payload["key"] === "string" ? payload["key"] : "";
    return {
      user: payload.sub!,
      admin: payload["role"] === "admin",
      keyId,

      expiresAtMs: payload.exp! * 1000,
    };
  }

  return async (token) => {
    try {
      try {
        return await claimsOf(token, await (keys ?? fetchKeys()));
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || now() - fetchedAt < refreshEveryMs) throw error;
        return await claimsOf(token, await fetchKeys());
      }
    } catch (error) {
      if (error instanceof errors.JWTExpired)
        throw new AppError("unauthenticated", "TOKEN_EXPIRED", "the access token is out of date; log in again", {
          cause: error,
        });
      if (error instanceof errors.JOSEError)
        throw new AppError("unauthenticated", "BAD_TOKEN", "the access token is not valid here", { cause: error });
      throw error;
    }
  };
}
