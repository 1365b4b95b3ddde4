import { AppError } from "@berth/core";
import { Cache } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { AuthPlugin, AuthUser } from "@berth/plugins";
import { z } from "zod";
import { directoryUser } from "../../domain/directory-user.ts";
import type { DirectoryGroup } from "../../domain/directory-user.ts";
import type { SiteVolume } from "../../domain/volumes.ts";
import { siteRules } from "../site-rules.ts";
import type { Machine } from "./machine.ts";

const groupName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, "must be the name of a group");

const shape = z.strictObject({
  /** Groups whose members are admins. */
  admins: z.array(groupName).default([]),
  /** Groups whose members may use Berth; everybody without it. */
  mayUse: z.array(groupName).min(1).optional(),
  /** Smaller uids belong to the system and cannot log in. */
  minUid: z.number().int().min(1).default(1_000),
  /** How long data of a user is cached, in milliseconds. */
  cacheMs: z.number().int().min(0).max(300_000).default(10_000),
});

const loginName = /^[a-z_][a-z0-9_-]{0,31}$/;
/** Shells of users who do not log in. */
const noShell = /\/(nologin|false)$/;

/**
 * The users and groups of the machine on which auth runs. Passwords are checked against /etc/shadow, which needs root. Users from a directory have no password there,
 * so they can only use API keys. Throws `invalid` SYSTEM_SETTINGS.
 */
export function systemProvider(deps: {
  readonly config: Readonly<Record<string, unknown>>;
  readonly machine: Machine;
  readonly ownerOfKey: (key: string) => Promise<string | undefined>;
  readonly siteVolumes: () => readonly SiteVolume[];
  readonly logger: Logger;
  readonly now: () => number;
}): AuthPlugin {
  const { machine, siteVolumes, logger } = deps;
  const parsed = shape.safeParse(deps.config);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "settings"}: ${issue.message}`);
    throw new AppError("invalid", "SYSTEM_SETTINGS", `the settings of the system provider: ${faults.join("; ")}`);
  }
  const { admins, mayUse, minUid, cacheMs } = parsed.data;
  const known = new Cache<AuthUser | undefined>({ ttlMs: cacheMs, maxEntries: 10_000, now: deps.now });

  /** Groups named in the settings, by name; all other groups count by number only. */
  async function groupsOf(name: string): Promise<DirectoryGroup[]> {
    const named = [...new Set([...admins, ...(mayUse ?? [])])];
    const [gids, numbers] = await Promise.all([
      machine.groupsOf(name),
      Promise.all(named.map((group) => machine.gidOf(group))),
    ]);
    const isMember = named.filter((_, n) => numbers[n] !== undefined && gids.includes(numbers[n]));
    return [...gids.map((gid) => ({ name: "", gid })), ...isMember.map((group) => ({ name: group, gid: "" }))];
  }

  async function lookUp(name: string): Promise<AuthUser | undefined> {
    if (!loginName.test(name)) return undefined;
    const fields = await machine.passwd(name);
    if (!fields || fields[0] !== name || Number(fields[2]) < minUid) return undefined;
    const [, , uid = "", gid = "", , home = "", shell = ""] = fields;
    const disabled = noShell.test(shell) || (await machine.isExpired(name));
    const answer = directoryUser({ name, uid, gid, home, email: "", disabled }, await groupsOf(name), {
      admins,
      mayUse,
    });
    if ("user" in answer) return answer.user;
    logger.warn("audit: a user of this machine cannot be a user here", { user: name, why: answer.refused });
    return undefined;
  }

  const getUser = (name: string): Promise<AuthUser | undefined> => known.get(name) ?? known.set(name, lookUp(name));
  const enabled = (user: AuthUser | undefined): AuthUser | undefined => (user && !user.disabled ? user : undefined);

  return {
    getName: () => "system",
    async bindCredentials(login, password) {
      if (!loginName.test(login)) return undefined;
      // Also runs for unknown names, so that timing does not reveal which names exist.
      const right = await machine.isPassword(login, password);
      return right ? enabled(await lookUp(login)) : undefined;
    },
    async bindApi(key) {
      const owner = await deps.ownerOfKey(key);
      return owner === undefined ? undefined : enabled(await getUser(owner));
    },
    getUser,
    ...siteRules(siteVolumes),
  };
}
