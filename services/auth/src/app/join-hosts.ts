import { createHash, randomBytes } from "node:crypto";
import { AppError, invalidField } from "@berth/core";
import { isToken } from "@berth/contracts";
import type { Logger } from "@berth/runtime";
import type { HostAuthority, IssuedIdentity } from "../ports/host-authority.ts";
import type { HostKey, HostKeys } from "../ports/host-keys.ts";

export interface JoinHostsDeps {
  readonly keys: HostKeys;
  readonly authority: HostAuthority;
  /** Called after keys were revoked, so that nats-server can be told. */
  readonly onRevoked: () => Promise<void>;
  readonly now: () => Date;
  readonly logger: Logger;
}

export interface JoinRequest {
  /** May be empty if the key belongs to a host already. */
  readonly token: string;
  readonly csrPem: string;
  readonly busKey: string;
  readonly host: string;
}

/** Lets machines join as hosts, renews their certificates, and revokes them. */
export interface HostMembership {
  createToken(wish: { host: string; ttlMs: number; by: string }): Promise<{ token: string; expiresAt: Date }>;
  join(request: JoinRequest): Promise<IssuedIdentity & { readonly host: string }>;
  revoke(host: string, by: string): Promise<void>;
  revokedKeyHashes(): Promise<string[]>;
}

const leastTtlMs = 1_000;
const mostTtlMs = 30 * 86_400_000;
/** Validity of a new key until its first certificate is issued. It only has to be in the future. */
const firstMoments = 60_000;

/**
 * A token belongs to the first key that uses it. So a machine whose answer was lost repeats its request with the same key, and no other machine can use the token. A
 * host's key gets new certificates until it is revoked or its last certificate has expired.
 */
export function joinHosts({ keys, authority, onRevoked, now, logger }: JoinHostsDeps): HostMembership {
  async function admit(keyHash: string, { token, host, busKey }: JoinRequest): Promise<HostKey> {
    const known = await keys.key(keyHash);
    if (known?.revokedAt)
      throw new AppError("denied", "HOST_REVOKED", `the credentials of host ${known.host} are revoked`);
    if (known && known.notAfter > now()) return known;
    const hash = hashOf(token);
    const found = hash === undefined ? undefined : await keys.token(hash);
    if (!found || found.expiresAt <= now()) throw badToken();
    const name = found.host || host;
    if (!isToken(name)) throw invalidField("host", "must be 1 to 64 of [A-Za-z0-9_-]");
    // Else a token for one host would end that host's key, and certify this one.
    if (known && known.host !== name)
      throw invalidField("csr_pem", `is of the key of host ${known.host}; to join as ${name}, make a new key`);
    if (!(await keys.useToken(found.hash, keyHash))) throw badToken();
    if (found.host !== "" && (await keys.revoke(name, keyHash, now()))) await onRevoked();
    const key = { hash: keyHash, host: name, busKey, notAfter: new Date(now().getTime() + firstMoments) };
    await keys.addKey(key);
    logger.warn("audit: a machine joined as a host", {
      host: name,
      key: keyHash.slice(0, 16),
      tokenBy: found.createdBy,
    });
    return (await keys.key(keyHash)) ?? { ...key, revokedAt: undefined };
  }

  return {
    async createToken({ host, ttlMs, by }) {
      if (host !== "" && !isToken(host)) throw invalidField("host", "must be 1 to 64 of [A-Za-z0-9_-]");
      if (!(ttlMs >= leastTtlMs && ttlMs <= mostTtlMs))
        throw invalidField("ttl_ms", "must be from a second to 30 days", "INVALID_TTL");
      const secret = randomBytes(32).toString("base64url");
      const token = `berth-join_${authority.fingerprint}_${secret}`;
      const expiresAt = new Date(now().getTime() + ttlMs);
      await keys.addToken({ hash: hashOf(token)!, host, createdBy: by, expiresAt });
      logger.warn("audit: a token for a host was made", { by, host, expires: expiresAt.toISOString() });
      return { token, expiresAt };
    },
    async join(request) {
      if (!authority.isBusKey(request.busKey)) throw invalidField("bus_key", "must be the public nkey of a user");
      const keyHash = await authority.keyHashOf(request.csrPem);
      const { host, busKey } = await admit(keyHash, request);
      // A host's key has exactly one key on the bus, so that revoking one revokes the other.
      if (busKey !== request.busKey) throw invalidField("bus_key", "must be the one with which this key joined");
      const issued = await authority.issue(host, request.csrPem, busKey, now());
      await keys.extendKey(keyHash, issued.expiresAt);
      // Checked again, because a revocation during this call may have read the list before this certificate's end was stored.
      if ((await keys.key(keyHash))?.revokedAt)
        throw new AppError("denied", "HOST_REVOKED", `the credentials of host ${host} are revoked`);
      return { ...issued, host };
    },
    async revoke(host, by) {
      if (!(await keys.revoke(host, "", now())))
        throw new AppError("not-found", "HOST_NOT_FOUND", `no machine has joined as ${host}`, {
          metadata: { host_id: host },
        });
      logger.warn("audit: a host's credentials were revoked", { host, by });
      await onRevoked();
    },
    revokedKeyHashes: async () => (await keys.revoked(now())).map(({ hash }) => hash),
  };
}

/** Hash of a token's secret; undefined if the text is no token. */
function hashOf(token: string): string | undefined {
  const secret = /^berth-join_[0-9a-f]{64}_([A-Za-z0-9_-]{43})$/.exec(token)?.[1];
  return secret === undefined ? undefined : createHash("sha256").update(secret).digest("hex");
}

const badToken = (): AppError =>
  new AppError(
    "denied",
    "BAD_HOST_TOKEN",
    "this token is unknown, used by another machine, or out of date; an admin makes one: berth host token",
  );
