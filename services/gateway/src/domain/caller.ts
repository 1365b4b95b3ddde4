import { AppError } from "@berth/core";

/** Who calls. */
export interface Caller {
  readonly user: string;
  readonly admin: boolean;
}

/**
 * Whose tasks a list or watch is about: "" is the caller's own, "*" everybody's. Answers the user to filter by, "" for no filter.
 * Throws `denied` NOT_YOURS where that is another's and the caller is no admin.
 */
export function userFilter(asked: string, caller: Caller): string {
  if (asked === "" || asked === caller.user) return caller.user;
  if (!caller.admin)
    throw new AppError("denied", "NOT_YOURS", "only admins may see other users' tasks", {
      metadata: { field: "user" },
    });
  return asked === "*" ? "" : asked;
}

/** Filter for reading one task by id: admins read everybody's. */
export const ownerFilter = (caller: Caller): string => (caller.admin ? "" : caller.user);
