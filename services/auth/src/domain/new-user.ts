import { AppError, invalidField } from "@berth/core";

/** A new user, as an admin asks for it. */
export interface NewUser {
  readonly name: string;
  /** 0: the next free one. */
  readonly uid: number;
  /** 0: as the uid. */
  readonly gid: number;
  readonly groups: readonly number[];
  readonly role: "user" | "admin";
  readonly home: string;
  readonly email: string;
}

/** First uid that Berth chooses, far above those that systems and directories usually choose. */
export const firstUid = 20_000;

const largestId = 4_294_967_293; // the last two have special meanings

/** Throws `invalid`, naming field and rule. */
export function checkNewUser(user: NewUser): void {
  checkUserName(user.name, "user.name");
  checkId(user.uid, "user.identity.uid");
  checkId(user.gid, "user.identity.gid");
  if (user.groups.length > 64) throw invalidField("user.identity.groups", "at most 64", "INVALID_GROUP");
  user.groups.forEach((group, at) => {
    if (!isId(group) || group === 0)
      throw invalidField(`user.identity.groups[${at}]`, "must be a group id other than 0", "INVALID_GROUP");
  });
  if (user.home !== "" && !isCleanPath(user.home)) {
    throw invalidField(
      "user.home",
      "must be an absolute path without .. or // and without control characters",
      "INVALID_HOME",
    );
  }
  if (user.email !== "" && !/^[^\s@]{1,64}@[^\s@]{1,190}$/.test(user.email))
    throw invalidField("user.email", "must be an e-mail address", "INVALID_EMAIL");
}

/** Throws `invalid` INVALID_USER_NAME. */
export function checkUserName(name: string, field: string): void {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name) || name === "root") {
    throw invalidField(field, "must be a login name ([a-z_][a-z0-9_-]{0,31}) other than root", "INVALID_USER_NAME");
  }
}

/** Throws `invalid` INVALID_PASSWORD. An empty one means that the user has only keys. */
export function checkPassword(password: string): void {
  if (password === "") return;
  if (Array.from(password).length < 10)
    throw invalidField(
      "password",
      "must have at least 10 characters, or be empty for a user with keys only",
      "INVALID_PASSWORD",
    );
  if (password.length > 1024) throw invalidField("password", "must have at most 1,024 characters", "INVALID_PASSWORD");
}

/** The smallest uid from `firstUid` on that is not taken. */
export function nextUid(taken: ReadonlySet<number>): number {
  for (let uid = firstUid; uid <= largestId; uid++) if (!taken.has(uid)) return uid;
  throw new AppError("quota", "NO_UID_LEFT", "no numeric user id is left");
}

const isId = (id: number): boolean => Number.isSafeInteger(id) && id >= 0 && id <= largestId;

function checkId(id: number, field: string): void {
  if (!isId(id))
    throw invalidField(field, `must be a numeric id from 1 to ${largestId}, or 0 for the next free one`, "INVALID_ID");
}

/** Whether a path is absolute and equal to its normalised form. */
export const isCleanPath = (path: string): boolean =>
  path.length <= 4096 &&
  /^(\/[^/\u0000-\u001f]+)+$/.test(path) &&
  !path.split("/").some((part) => part === "." || part === "..");
