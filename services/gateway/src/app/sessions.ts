import { AppError, badAnswer } from "@berth/core";
import { Role } from "@berth/contracts/auth";
import type { AuthServiceService, User } from "@berth/contracts/auth";
import { Cache } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";
import type { SessionCaller } from "../domain/caller.ts";

/** Claims of a valid access token. */
export interface TokenClaims extends SessionCaller {
  readonly expiresAtMs: number;
}

export interface Sessions {
  /** The caller with this credential, an access token or an API key. Throws `unauthenticated` BAD_TOKEN, TOKEN_EXPIRED, BAD_KEY or SESSION_ENDED. */
  callerOf(credential: string): Promise<SessionCaller>;
  /** The result of `callerOf` if it is cached; undefined if auth must be asked or a signature verified. */
  knownCaller(credential: string): SessionCaller | undefined;
  /** Asks auth again about sessions of this key; other gateways do so within `sessionCacheMs`. */
  forgetKey(user: string, id: string): void;
  /** Asks auth again about all sessions, after a user was changed here. */
  forgetAll(): void;
}

/** How long auth's answer about a session is cached. A revoked key, a disabled user or a changed role is noticed after this time at the latest. */
export const sessionCacheMs = 3_000;
/** How long the last answer about a key is used while auth is away. Tokens are valid until they expire, because their signature is checked here. */
const awayMs = 60_000;
/** Timeout of a call to auth if an older answer can be used instead. */
const briefMs = 1_000;
/** A token's claims never change; entries expire only to free memory. */
const tokenTtlMs = 60_000;

interface Exchanged {
  readonly key: string;
  readonly caller: SessionCaller;
  readonly endsMs: number;
}

export function makeSessions(deps: {
  readonly auth: Pick<GrpcClient<AuthServiceService>, "exchangeKey" | "checkSession">;
  /** Verifies a token's signature locally. */
  verify(token: string): Promise<TokenClaims>;
  readonly now: () => number;
}): Sessions {
  const { auth, verify, now } = deps;
  const cache = <T>(ttlMs: number) => new Cache<T>({ ttlMs, maxEntries: 10_000, now });
  const keys = cache<Exchanged>(sessionCacheMs);
  const olderKeys = cache<Exchanged>(awayMs);
  const tokens = cache<TokenClaims>(tokenTtlMs);
  const checked = cache<SessionCaller>(sessionCacheMs);

  async function exchange(key: string): Promise<Exchanged> {
    const older = await settled(olderKeys.get(keyIdOf(key)));
    try {
      const answer = await auth.exchangeKey({ key }, older?.key === key ? { deadlineMs: briefMs } : {});
      const caller = callerFrom(answer.user, keyIdOf(key));
      return { key, caller, endsMs: answer.expireTime?.getTime() ?? Infinity };
    } catch (error) {
      if (older?.key === key && AppError.from(error).code === "unavailable") return older;
      throw unauthenticated(error);
    }
  }

  async function keyCaller(key: string): Promise<SessionCaller> {
    const id = keyIdOf(key);
    const pending = keys.get(id);
    const known = pending && (await settled(pending)); // no await before `keys.set` for a new key, so that concurrent calls share one request
    if (known?.key === key) return known.caller;
    const exchanged = exchange(key);
    // A different secret with a known key id is a guess. It must not replace the cached right one.
    if (known) return (await exchanged).caller;
    void keys.set(id, exchanged, ({ endsMs }) => endsMs);
    const fresh = await exchanged;
    const older = await settled(olderKeys.get(id));
    if (fresh !== older) void olderKeys.set(id, exchanged, ({ endsMs }) => endsMs);
    return fresh.caller;
  }

  async function tokenCaller(token: string): Promise<SessionCaller> {
    const claims = await (tokens.get(token) ?? tokens.set(token, verify(token), ({ expiresAtMs }) => expiresAtMs));
    const session = sessionOf(claims.user, claims.keyId);
    return checked.get(session) ?? checked.set(session, check(claims));
  }

  async function check({ user, admin, keyId }: TokenClaims): Promise<SessionCaller> {
    try {
      const answer = await auth.checkSession({ user, keyId }, { deadlineMs: briefMs });
      return callerFrom(answer.user, keyId);
    } catch (error) {
      if (AppError.from(error).code === "unavailable") return { user, admin, keyId };
      throw unauthenticated(error);
    }
  }

  function knownCaller(credential: string): SessionCaller | undefined {
    if (credential.startsWith("berth_")) {
      const known = keys.peek(keyIdOf(credential));
      return known?.key === credential ? known.caller : undefined;
    }
    const claims = tokens.peek(credential);
    return claims && checked.peek(sessionOf(claims.user, claims.keyId));
  }

  return {
    knownCaller,
    callerOf: (credential) => (credential.startsWith("berth_") ? keyCaller(credential) : tokenCaller(credential)),
    forgetKey(user, id) {
      for (const each of [keys, olderKeys]) each.delete(id);
      checked.delete(sessionOf(user, id));
    },
    forgetAll() {
      for (const each of [keys, olderKeys, checked]) each.clear();
    },
  };
}

function callerFrom(user: User | undefined, keyId: string): SessionCaller {
  if (!user) throw badAnswer("auth", "the user");
  return { user: user.name, admin: user.role === Role.ADMIN, keyId };
}

const settled = async <T>(pending: Promise<T> | undefined): Promise<T | undefined> => pending?.catch(() => undefined);

const sessionOf = (user: string, keyId: string): string => `${user} ${keyId}`;

/** `denied` from auth means that the credential is wrong, which API clients know as `unauthenticated`. */
export function unauthenticated(thrown: unknown): AppError {
  const error = AppError.from(thrown);
  return error.code === "denied"
    ? AppError.received("unauthenticated", error.reason, error.message, { cause: error })
    : error;
}

const keyIdOf = (key: string): string => key.split("_", 2)[1] ?? "";
