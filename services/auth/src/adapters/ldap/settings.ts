import { existsSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { AppError, secretFileFault } from "@berth/core";
import { z } from "zod";

const attribute = z.string().regex(/^[A-Za-z][A-Za-z0-9;.-]{0,63}$/, "must be the name of an attribute");
const filter = z.string().regex(/^\(.*\)$/s, "must be an LDAP filter in parentheses");
const dn = z.string().min(3);

const isLoopback = (url: URL): boolean => url.hostname === "localhost" || /^(127\.|\[::1\])/.test(url.hostname);

const url = z.string().transform((text, context) => {
  const parsed = URL.parse(text);
  if (parsed && /^ldaps?:$/.test(parsed.protocol) && parsed.hostname !== "" && /^\/?$/.test(parsed.pathname))
    return parsed;
  context.addIssue({ code: "custom", message: "must be ldap://host[:port] or ldaps://host[:port]" });
  return z.NEVER;
});

const shape = z.strictObject({
  /** The directory's servers, tried in this order: `ldaps://…`, or `ldap://…`, which is upgraded by StartTLS before any other request. */
  urls: z.array(url).min(1).max(8),
  /** PEM file of the authorities that sign the servers' certificates; default: those that this machine trusts. */
  ca: z.string().optional(),
  /** Use no TLS. Only for servers on this machine's loopback address. */
  plainText: z.boolean().default(false),
  /** The account that searches; anonymous without it. */
  bindDn: dn.optional(),
  /** A file with that account's password. */
  bindPasswordFile: z.string().optional(),
  people: z.strictObject({
    /** Base of the search for people, at any depth. */
    base: dn,
    /** Filter that matches people. */
    filter: filter.default("(objectClass=posixAccount)"),
    /** Attributes that people may type as their name at login. */
    loginAttributes: z.array(attribute).min(1).max(4).default(["uid", "mail"]),
    /** Filter for people who may neither log in nor run tasks, as `(shadowExpire=1)`. */
    disabledFilter: filter.optional(),
  }),
  /** Attribute names of a person's data. */
  attributes: z
    .strictObject({
      name: attribute.default("uid"),
      uid: attribute.default("uidNumber"),
      gid: attribute.default("gidNumber"),
      home: attribute.default("homeDirectory"),
      email: attribute.default("mail"),
    })
    .prefault({}),
  /** Without it people have only their own group, and none is an admin. */
  groups: z
    .strictObject({
      base: dn,
      filter: filter.default("(objectClass=posixGroup)"),
      /** Attribute that lists the members. */
      memberAttribute: attribute.default("memberUid"),
      /** Whether that lists login names or distinguished names. */
      memberIs: z.enum(["name", "dn"]).default("name"),
      nameAttribute: attribute.default("cn"),
      gidAttribute: attribute.default("gidNumber"),
      /** Groups whose members are admins. */
      admins: z.array(z.string().min(1)).default([]),
      /** Groups whose members may use Berth; everybody without it. */
      mayUse: z.array(z.string().min(1)).min(1).optional(),
    })
    .optional(),
  /** Timeout of one query, in milliseconds. */
  timeoutMs: z.number().int().min(100).max(60_000).default(5_000),
  /** How long entries of the directory are cached, in milliseconds. A person who is removed there is noticed after this time. */
  cacheMs: z.number().int().min(0).max(300_000).default(10_000),
});

export interface LdapSettings extends z.output<typeof shape> {
  readonly bindPassword: string;
  /** Content of the file `ca`. */
  readonly authorities: string | undefined;
}

/** Checks the settings of the `ldap` provider; throws `invalid` LDAP_SETTINGS with every fault. */
export function readLdapSettings(config: Readonly<Record<string, unknown>>): LdapSettings {
  const parsed = shape.safeParse(config);
  const faults = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join(".") || "settings"}: ${issue.message}`);
  const settings = parsed.data;
  let bindPassword = "";
  let authorities: string | undefined;
  if (settings) {
    if (settings.plainText && !settings.urls.every(isLoopback))
      faults.push("plainText: only with servers on a loopback address, because passwords would be readable");
    if ((settings.bindDn === undefined) !== (settings.bindPasswordFile === undefined))
      faults.push("bindPasswordFile: goes together with bindDn");
    if (settings.bindPasswordFile !== undefined) bindPassword = readSecret(settings.bindPasswordFile, faults);
    if (settings.ca !== undefined) {
      if (existsSync(settings.ca)) authorities = readFileSync(settings.ca, "utf8");
      else faults.push(`ca: ${settings.ca} cannot be read`);
    }
  }
  if (!settings || faults.length > 0)
    throw new AppError("invalid", "LDAP_SETTINGS", `the settings of the ldap provider: ${faults.join("; ")}`);
  return { ...settings, bindPassword, authorities };
}

function readSecret(path: string, faults: string[]): string {
  try {
    const fault = secretFileFault(path, statSync(path));
    if (fault !== undefined) faults.push(`bindPasswordFile: ${fault}`);
    const password = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    if (password === "") faults.push(`bindPasswordFile: ${path} is empty`);
    return password;
  } catch {
    faults.push(`bindPasswordFile: ${path} cannot be read`);
    return "";
  }
}

/** Host name that the server's certificate must have. */
export const serverIdentity = (server: URL): { readonly host: string; readonly servername?: string } => {
  const host = server.hostname.replace(/^\[|\]$/g, "");
  return isIP(host) ? { host } : { host, servername: host };
};
