import { AppError } from "@berth/core";

/** A one-time token for a joining machine, as it is stored, without its secret. */
export interface HostToken {
  /** SHA-256 of its secret, in hexadecimal. */
  readonly hash: string;
  /** The host name that it is for; empty: any name that no host has. */
  readonly host: string;
  readonly createdBy: string;
  readonly expiresAt: Date;
}

/** A key that was certified as a host's. */
export interface HostKey {
  /** SHA-256 of the public key, in hexadecimal. */
  readonly hash: string;
  readonly host: string;
  /** Public half of its key on the bus. */
  readonly busKey: string;
  /** End of its last certificate. */
  readonly notAfter: Date;
  readonly revokedAt: Date | undefined;
}

/** Tokens and keys of hosts; durable when a method resolves. A host has at most one key that is not revoked. */
export interface HostKeys {
  addToken(token: HostToken): Promise<void>;
  token(hash: string): Promise<HostToken | undefined>;
  /** Binds a token to the first key that uses it. False if it is bound to another key. */
  useToken(hash: string, keyHash: string): Promise<boolean>;
  key(hash: string): Promise<HostKey | undefined>;
  /** Adds a key, unless it exists. Rejects with `conflict` HOST_JOINED if its host has another one. */
  addKey(key: Omit<HostKey, "revokedAt">): Promise<void>;
  /** Stores the end of a new certificate, unless a later one is stored. */
  extendKey(hash: string, notAfter: Date): Promise<void>;
  /** Revokes all keys of a host except one. Resolves with whether there were any. */
  revoke(host: string, except: string, at: Date): Promise<boolean>;
  /** Keys that are revoked, and whose last certificate ends after `now`. */
  revoked(now: Date): Promise<readonly HostKey[]>;
}

export const hostJoined = (host: string): AppError =>
  new AppError(
    "conflict",
    "HOST_JOINED",
    `another machine has joined as ${host}; choose another name with --name, or let an admin make a token for a machine in its place: berth host token --host ${host}`,
    { metadata: { host_id: host } },
  );
