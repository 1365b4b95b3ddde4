import { Role } from "@berth/contracts/auth";
import type { ApiKey, User } from "@berth/contracts/auth";
import type { Identity, Mount } from "@berth/contracts/types";
import type { AuthUser, VolumeGrant } from "@berth/plugins";
import type { NewUser } from "../../domain/new-user.ts";
import type { StoredKey } from "../../ports/accounts.ts";

export const toWireIdentity = ({ name, uid, gid, groups }: AuthUser): Identity => ({
  user: name,
  uid,
  gid,
  groups: [...groups],
});

export const toWireUser = (user: AuthUser): User => ({
  name: user.name,
  identity: toWireIdentity(user),
  role: user.role === "admin" ? Role.ADMIN : Role.USER,
  home: user.home,
  email: user.email,
  createTime: user.createdAt,
  disabled: user.disabled,
});

/** The request for a new user. Without a role the user is no admin. */
export const fromWireUser = (user: User): NewUser => ({
  name: user.name,
  uid: user.identity?.uid ?? 0,
  gid: user.identity?.gid ?? 0,
  groups: user.identity?.groups ?? [],
  role: user.role === Role.ADMIN ? "admin" : "user",
  home: user.home,
  email: user.email,
});

export const toWireKey = ({ id, name, createdAt, expiresAt }: StoredKey): ApiKey => ({
  id,
  name,
  createTime: createdAt,
  ...(expiresAt ? { expireTime: expiresAt } : {}),
});

export const toWireMount = ({ name, source, target, readOnly }: VolumeGrant): Mount => ({
  name,
  source,
  target,
  readOnly,
});
