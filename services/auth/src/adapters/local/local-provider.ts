import type { AuthPlugin, AuthUser } from "@berth/plugins";
import type { SiteVolume } from "../../domain/volumes.ts";
import { siteRules } from "../site-rules.ts";
import type { Accounts } from "../../ports/accounts.ts";
import type { ApiKeys } from "./api-keys.ts";
import type { Passwords } from "./passwords.ts";

/** Users in our own database, volumes from the site's list. */
export function localProvider(deps: {
  readonly accounts: Accounts;
  readonly passwords: Passwords;
  readonly keys: ApiKeys;
  readonly siteVolumes: () => readonly SiteVolume[];
}): AuthPlugin {
  const { accounts, passwords, keys, siteVolumes } = deps;
  const enabled = async (name: string): Promise<AuthUser | undefined> => {
    const user = await accounts.user(name);
    return user && !user.disabled ? user : undefined;
  };
  return {
    getName: () => "local",
    async bindCredentials(login, password) {
      const right = await passwords.matches(await accounts.passwordHash(login), password);
      return right ? enabled(login) : undefined;
    },
    async bindApi(key) {
      const found = await keys.find(key);
      return found && enabled(found.user);
    },
    getUser: (login) => accounts.user(login),
    ...siteRules(siteVolumes),
    disabledUsers: () => accounts.disabled(),
  };
}
