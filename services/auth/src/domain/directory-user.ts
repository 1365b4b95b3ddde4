import type { AuthUser } from "@berth/plugins";
import { isCleanPath } from "./new-user.ts";

/** A person's attributes in a directory, as text. */
export interface DirectoryPerson {
  readonly name: string;
  readonly uid: string;
  readonly gid: string;
  readonly home: string;
  readonly email: string;
  readonly disabled: boolean;
}

/** A group that the person belongs to. */
export interface DirectoryGroup {
  readonly name: string;
  /** Empty if the group has no number. It then only decides about roles. */
  readonly gid: string;
}

export interface DirectoryRules {
  /** Names of groups whose members are admins. */
  readonly admins: readonly string[];
  /** Names of groups whose members may use Berth; undefined: everybody. */
  readonly mayUse: readonly string[] | undefined;
}

const largestId = 4_294_967_293; // the last two have special meanings
const mostGroups = 64;

/**
 * Returns a directory's person as a user, or why that person cannot be one. Uid and gid 0 are refused and group 0 is left out, because write access to the directory
 * must not give root here.
 */
export function directoryUser(
  person: DirectoryPerson,
  groups: readonly DirectoryGroup[],
  { admins, mayUse }: DirectoryRules,
): { readonly user: AuthUser } | { readonly refused: string } {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(person.name) || person.name === "root")
    return { refused: `the name ${JSON.stringify(person.name.slice(0, 40))} is no login name other than root` };
  const uid = idOf(person.uid);
  const gid = idOf(person.gid);
  if (uid === undefined) return { refused: `the uid ${JSON.stringify(person.uid.slice(0, 20))} is no user id above 0` };
  if (gid === undefined)
    return { refused: `the gid ${JSON.stringify(person.gid.slice(0, 20))} is no group id above 0` };
  const names = new Set(groups.map((group) => group.name));
  const numbers = groups.flatMap((group) => idOf(group.gid) ?? []).filter((number) => number !== gid);
  return {
    user: {
      name: person.name,
      uid,
      gid,
      groups: [...new Set(numbers)].toSorted((a, b) => a - b).slice(0, mostGroups),
      role: admins.some((name) => names.has(name)) ? "admin" : "user",
      home: isCleanPath(person.home) ? person.home : "",
      email: /^[^\s@]{1,64}@[^\s@]{1,190}$/.test(person.email) ? person.email : "",
      disabled: person.disabled || (mayUse !== undefined && !mayUse.some((name) => names.has(name))),
      createdAt: new Date(0),
    },
  };
}

function idOf(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return id > 0 && id <= largestId ? id : undefined;
}
