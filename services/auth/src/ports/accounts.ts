import { AppError } from "@berth/core";
import type { AuthUser } from "@berth/plugins";

/** An API key as it is stored, without its secret. */
export interface StoredKey {
  readonly id: string;
  readonly user: string;
  readonly name: string;
  readonly secretHash: Uint8Array;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

/** Users and API keys of the `local` provider; durable when a method resolves. */
export interface Accounts {
  /** Rejects with `conflict` USER_EXISTS or UID_TAKEN. `ids` is called with all uids in use, and again if another copy took one in between. */
  addUser(
    user: Omit<AuthUser, "uid" | "gid">,
    ids: (taken: ReadonlySet<number>) => { uid: number; gid: number },
    passwordHash: string,
  ): Promise<AuthUser>;
  user(name: string): Promise<AuthUser | undefined>;
  /** Empty if the user has only keys. */
  passwordHash(name: string): Promise<string | undefined>;
  /** Undefined if there is no such user. */
  setDisabled(name: string, disabled: boolean): Promise<AuthUser | undefined>;
  /** Names of disabled users. */
  disabled(): Promise<readonly string[]>;
  /** Names of the admins who are not disabled. */
  admins(): Promise<readonly string[]>;
  addKey(key: StoredKey): Promise<void>;
  key(id: string): Promise<StoredKey | undefined>;
  /** Sorted by creation time. */
  keysOf(user: string): Promise<StoredKey[]>;
  /** Whether the user had such a key. */
  removeKey(user: string, id: string): Promise<boolean>;
}

export const userExists = (name: string): AppError =>
  new AppError("conflict", "USER_EXISTS", `user ${name} exists already`, { metadata: { user: name } });

export const uidTaken = (uid: number): AppError =>
  new AppError("conflict", "UID_TAKEN", `uid ${uid} belongs to another user`, { metadata: { uid: String(uid) } });
