import { readFileSync } from "node:fs";
import type { AuthUser } from "@berth/plugins";
import { checkNewUser, checkPassword, nextUid } from "../../domain/new-user.ts";
import type { NewUser } from "../../domain/new-user.ts";
import type { Accounts } from "../../ports/accounts.ts";
import type { Passwords } from "./passwords.ts";

/** Adds a user to the `local` provider. Throws `invalid`, or `conflict` USER_EXISTS or UID_TAKEN. */
export async function createUser(
  deps: {
    readonly accounts: Accounts;
    readonly passwords: Passwords;
    readonly now: () => Date;
    readonly systemUids?: () => ReadonlySet<number>;
  },
  wish: NewUser,
  password: string,
): Promise<AuthUser> {
  checkNewUser(wish);
  checkPassword(password);
  const passwordHash = password === "" ? "" : await deps.passwords.hash(password);
  const system = (deps.systemUids ?? uidsOfThisMachine)();
  const { uid, gid, ...rest } = wish;
  const ids = (taken: ReadonlySet<number>) => {
    const own = uid || nextUid(new Set([...taken, ...system]));
    return { uid: own, gid: gid || own };
  };
  return deps.accounts.addUser({ ...rest, disabled: false, createdAt: deps.now() }, ids, passwordHash);
}

/** Uids of this machine, which Berth does not choose for new users. An admin may give one of them, so that the machine's own users keep theirs. */
function uidsOfThisMachine(): ReadonlySet<number> {
  try {
    return new Set(
      readFileSync("/etc/passwd", "utf8")
        .split("\n")
        .map((line) => Number(line.split(":")[2])),
    );
  } catch {
    return new Set();
  }
}
