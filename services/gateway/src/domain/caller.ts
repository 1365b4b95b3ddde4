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
  /** IP address that the call came from; empty where there is none. */
  readonly address: string;
}

/**
 * Whose tasks a list or watch is about: "" is the caller's own, "*" everybody's. Answers the user to filter by, "" for no filter.
 * Throws `denied` NOT_YOURS where that is another's and the caller is no admin.
 */
export function userFilter(asked: string, caller: Caller): string {
  if (asked === "" || asked === caller.user) return caller.user;
  if (!caller.admin) throw forAdmins("see other users' tasks");
  return asked === "*" ? "" : asked;
}

/** Filter for reading one task by id: admins read everybody's. */
export const ownerFilter = (caller: Caller): string => (caller.admin ? "" : caller.user);

/** Whose API keys a call is about; empty is the caller's own. Throws `denied` NOT_YOURS where they are another's and the caller is no admin. */
export function ownerOfKeys(asked: string, caller: Caller): string {
  if (asked === "" || asked === caller.user) return caller.user;
  if (!caller.admin) throw forAdmins("see and revoke other users' keys");
  return asked;
}

const forAdmins = (what: string): AppError =>
  new AppError("denied", "NOT_YOURS", `only admins may ${what}`, { metadata: { field: "user" } });
