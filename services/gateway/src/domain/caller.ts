import { AppError } from "@berth/core";

/** Who calls. */
export interface Caller {
  readonly user: string;
  readonly admin: boolean;
}

/** The caller and its credential. */
export interface SessionCaller extends Caller {
  /** The API key that the session began with; empty where it began with a password. */
  readonly keyId: string;
}

/** The caller as API handlers see it. */
export interface ApiCaller extends SessionCaller {
  /** IP address of the client; empty on a Unix socket. */
  readonly address: string;
}

/**
 * Whose tasks a list or watch shows: "" means the caller's own, "*" all users'. Returns the user to filter by, "" for no filter.
 * Throws `denied` NOT_YOURS for another user's tasks unless the caller is an admin.
 */
export function userFilter(asked: string, caller: Caller): string {
  if (asked === "" || asked === caller.user) return caller.user;
  if (!caller.admin) throw forAdmins("see other users' tasks");
  return asked === "*" ? "" : asked;
}

/** Filter for reading one task by id: admins read everybody's. */
export const ownerFilter = (caller: Caller): string => (caller.admin ? "" : caller.user);

/** Whose API keys a call is about; empty means the caller's own. Throws `denied` NOT_YOURS for another user's keys unless the caller is an admin. */
export function ownerOfKeys(asked: string, caller: Caller): string {
  if (asked === "" || asked === caller.user) return caller.user;
  if (!caller.admin) throw forAdmins("see and revoke other users' keys");
  return asked;
}

const forAdmins = (what: string): AppError =>
  new AppError("denied", "NOT_YOURS", `only admins may ${what}`, { metadata: { field: "user" } });
