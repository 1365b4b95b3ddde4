import { AppError } from "@berth/core";
import { Role } from "@berth/contracts/auth";
import type { AuthServiceService } from "@berth/contracts/auth";
import type { GrpcClient } from "@berth/runtime";
import type { Caller } from "../domain/caller.ts";
import { Cache } from "./cache.ts";

/** What a valid access token says. */
export interface TokenClaims extends Caller {
  readonly expiresAtMs: number;
}

export interface Sessions {
  /** Whose credential that is: an access token or an API key. Throws `unauthenticated` BAD_TOKEN, TOKEN_EXPIRED or BAD_KEY. */
  callerOf(credential: string): Promise<Caller>;
  /** Forgets a key that was revoked here; other gateways notice within `keyTtlMs`. */
  forgetKey(id: string): void;
}

/** How long a revoked key or a changed role still counts at a gateway that did not hear of it. */
export const keyTtlMs = 10_000;
/** A token's claims cannot change, but memory is to be given back. */
const tokenTtlMs = 60_000;

export function makeSessions(deps: {
  readonly auth: Pick<GrpcClient<AuthServiceService>, "exchangeKey">;
  /** Verifies a token here, without asking auth each time. */
  verify(token: string): Promise<TokenClaims>;
  readonly now: () => number;
}): Sessions {
  const { auth, verify, now } = deps;
  const keys = new Cache<{ readonly key: string; readonly caller: Caller }>({
    ttlMs: keyTtlMs,
    maxEntries: 10_000,
    now,
  });
  const tokens = new Cache<TokenClaims>({ ttlMs: tokenTtlMs, maxEntries: 10_000, now });

  async function exchange(key: string): Promise<{ readonly key: string; readonly caller: Caller }> {
    try {
      const { user } = await auth.exchangeKey({ key });
      if (!user) throw new AppError("internal", "BAD_ANSWER", "auth left out the user");
      return { key, caller: { user: user.name, admin: user.role === Role.ADMIN } };
    } catch (error) {
      throw unauthenticated(error);
    }
  }

  return {
    async callerOf(credential) {
      if (!credential.startsWith("berth_")) {
        return tokens.get(credential) ?? tokens.set(credential, verify(credential), ({ expiresAtMs }) => expiresAtMs);
      }
      const id = keyId(credential);
      const pending = keys.get(id);
      const known = pending && (await pending.catch(() => undefined));
      if (known?.key === credential) return known.caller;
      const exchanged = exchange(credential);
      // Another secret under a known id is a guess, and must not take the place of the right one.
      return (await (known ? exchanged : keys.set(id, exchanged))).caller;
    },
    forgetKey: (id) => keys.delete(id),
  };
}

/** `denied` of auth means that somebody is not who they say, which callers know as `unauthenticated`. */
export function unauthenticated(thrown: unknown): AppError {
  const error = AppError.from(thrown);
  return error.code === "denied"
    ? new AppError("unauthenticated", error.reason, error.message, { cause: error })
    : error;
}

const keyId = (key: string): string => key.split("_", 2)[1] ?? "";
