import { randomUUID } from "node:crypto";
import { AppError } from "@berth/core";
import { Cache } from "@berth/runtime";
import type { Logger } from "@berth/runtime";
import type { AuthPlugin, AuthUser } from "@berth/plugins";
import { AndFilter, EqualityFilter, FilterParser, OrFilter } from "ldapts";
import type { Entry, Filter } from "ldapts";
import { directoryUser } from "../../domain/directory-user.ts";
import type { DirectoryGroup } from "../../domain/directory-user.ts";
import type { SiteVolume } from "../../domain/volumes.ts";
import { siteRules } from "../site-rules.ts";
import type { Directory } from "./directory.ts";
import type { LdapSettings } from "./settings.ts";

const longestName = 256;
const mostGroups = 1_000;
const mostDisabled = 10_000;

/**
 * The provider of an LDAP directory. It finds a person by one of the site's login attributes, and checks the password by a bind as that person. API keys and volumes
 * are Berth's own. The directory's answers are cached for `cacheMs`.
 */
export function ldapProvider(deps: {
  readonly settings: LdapSettings;
  readonly directory: Directory;
  readonly ownerOfKey: (key: string) => Promise<string | undefined>;
  readonly siteVolumes: () => readonly SiteVolume[];
  readonly logger: Logger;
  readonly now: () => number;
}): AuthPlugin {
  const { settings, directory, siteVolumes, logger } = deps;
  const { people, attributes, groups } = settings;
  const wanted = [...new Set([...Object.values(attributes), ...people.loginAttributes])];
  const isPerson = FilterParser.parseString(people.filter);
  const isDisabled = people.disabledFilter === undefined ? undefined : FilterParser.parseString(people.disabledFilter);
  const disabled = new Cache<readonly string[]>({ ttlMs: settings.cacheMs, maxEntries: 1, now: deps.now });
  const known = new Cache<AuthUser | undefined>({ ttlMs: settings.cacheMs, maxEntries: 10_000, now: deps.now });

  /** The person with `login` in one of these attributes; undefined if several match. */
  async function find(login: string, among: readonly string[]): Promise<Entry | undefined> {
    if (login === "" || login.length > longestName) return undefined;
    const names = among.map((attribute) => new EqualityFilter({ attribute, value: login }));
    const filter = new AndFilter({ filters: [isPerson, new OrFilter({ filters: names })] });
    const found = await directory.search(people.base, filter, wanted, 1);
    if (!found)
      logger.warn("audit: the directory has several people of one login name; nobody is let in by it", { login });
    return found?.[0];
  }

  async function groupsOf(entry: Entry, name: string): Promise<DirectoryGroup[]> {
    if (!groups) return [];
    const member = new EqualityFilter({
      attribute: groups.memberAttribute,
      value: groups.memberIs === "dn" ? entry.dn : name,
    });
    const filter = new AndFilter({ filters: [FilterParser.parseString(groups.filter), member] });
    const found = await directory.search(groups.base, filter, [groups.nameAttribute, groups.gidAttribute], mostGroups);
    if (!found) throw new AppError("unavailable", "LDAP_AWAY", `the directory does not list all groups of ${name}`);
    return found.map((group) => ({
      name: first(group, groups.nameAttribute),
      gid: first(group, groups.gidAttribute),
    }));
  }

  async function matches(entry: Entry, filter: Filter | undefined): Promise<boolean> {
    return filter !== undefined && (await directory.search(entry.dn, filter, [attributes.name], 1))?.length !== 0;
  }

  async function userOf(entry: Entry): Promise<AuthUser | undefined> {
    const name = first(entry, attributes.name);
    const person = {
      name,
      uid: first(entry, attributes.uid),
      gid: first(entry, attributes.gid),
      home: first(entry, attributes.home),
      email: first(entry, attributes.email),
      disabled: await matches(entry, isDisabled),
    };
    const rules = { admins: groups?.admins ?? [], mayUse: groups?.mayUse };
    const answer = directoryUser(person, await groupsOf(entry, name), rules);
    if ("user" in answer) return answer.user;
    logger.warn("audit: a person of the directory cannot be a user here", { dn: entry.dn, why: answer.refused });
    return undefined;
  }

  async function lookUp(name: string): Promise<AuthUser | undefined> {
    const entry = await find(name, [attributes.name]);
    const user = entry && (await userOf(entry));
    // Directories ignore case; names in Berth do not.
    return user?.name === name ? user : undefined;
  }

  async function disabledNames(): Promise<readonly string[]> {
    if (!isDisabled) return [];
    const filter = new AndFilter({ filters: [isPerson, isDisabled] });
    const found = await directory.search(people.base, filter, [attributes.name], mostDisabled);
    if (!found) logger.warn("the directory does not list all who are disabled; their waiting tasks are not held back");
    return (found ?? []).map((entry) => first(entry, attributes.name));
  }

  const getUser = (name: string): Promise<AuthUser | undefined> => known.get(name) ?? known.set(name, lookUp(name));

  return {
    getName: () => "ldap",
    async bindCredentials(login, password) {
      const entry = await find(login, people.loginAttributes);
      // An unknown name costs as much time as a wrong password, so that timing does not reveal which names exist.
      const right = await directory.isPassword(entry?.dn ?? `uid=${randomUUID()},${people.base}`, password);
      if (!entry || !right) return undefined;
      const user = await userOf(entry);
      return user && !user.disabled ? user : undefined;
    },
    async bindApi(key) {
      const owner = await deps.ownerOfKey(key);
      const user = owner === undefined ? undefined : await getUser(owner);
      return user && !user.disabled ? user : undefined;
    },
    getUser,
    ...siteRules(siteVolumes),
    disabledUsers: () => disabled.get("") ?? disabled.set("", disabledNames()),
  };
}

/** The first value of an attribute; empty if it has none. */
function first(entry: Entry, attribute: string): string {
  // Servers return attribute names in the case of their schema, not in that of the query.
  const key = Object.keys(entry).find((each) => each.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? undefined : entry[key];
  const one = Array.isArray(value) ? value[0] : value;
  return one === undefined ? "" : String(one);
}
