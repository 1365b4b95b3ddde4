import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  apiKeys,
  argonPasswords,
  createUser,
  localProvider,
  migrations,
  openLdap,
  sqliteAccounts,
  systemProvider,
  thisMachine,
} from "@berth/auth";
import { openSqlite } from "@berth/database";
import { Closing, silentLogger } from "@berth/runtime";
import { ldapOptions, ldapPeople, runWith, startLdap, writeUsers } from "@berth/test-support";
import { describeAuthPlugin } from "./auth-plugin-suite.ts";
import type { ProviderUnderTest } from "./auth-plugin-suite.ts";

const siteVolumes = () => [
  { name: "licences", path: "/usr/share/common-licenses", mount: "/licences", mode: "ro" as const },
  { name: "scratch", path: "/scratch/$USER", mount: "/scratch", mode: "rw" as const },
];
const volumes = ["licences", "scratch"] as const;
const now = () => new Date();

describeAuthPlugin("local", async (): Promise<ProviderUnderTest> => {
  const database = openSqlite(":memory:", { migrations });
  const accounts = sqliteAccounts(database);
  const passwords = argonPasswords();
  const keys = apiKeys(accounts, now);
  const add = (name: string, role: "user" | "admin") =>
    createUser(
      { accounts, passwords, now },
      { name, uid: 0, gid: 0, groups: [], role, home: "", email: "" },
      `${name}-secret`,
    );
  const [ada] = await Promise.all([add("ada", "user"), add("ben", "user"), add("grace", "admin"), add("dan", "user")]);
  await accounts.setDisabled("dan", true);
  return {
    plugin: localProvider({ accounts, passwords, keys, siteVolumes }),
    person: { name: "ada", password: "ada-secret", uid: ada.uid, key: (await keys.create("ada", "k", 0)).key },
    other: { name: "ben", password: "ben-secret" },
    admin: { name: "grace" },
    disabled: { name: "dan", password: "dan-secret", key: (await keys.create("dan", "k", 0)).key },
    volumes,
    stop: async () => database.close(),
  };
});

for (const scheme of ["ldap", "ldaps"] as const)
  describeAuthPlugin(`${scheme}, against slapd`, async (): Promise<ProviderUnderTest> => {
    const dir = mkdtempSync(join(tmpdir(), "berth-ldap-"));
    const server = await startLdap(ldapOptions(dir));
    const closing = new Closing();
    writeFileSync(join(dir, "reader"), ldapPeople.reader.password, { mode: 0o600 });
    const owners = new Map([
      ["berth_ada_key", "ada"],
      ["berth_dan_key", "dan"],
    ]);
    const plugin = openLdap({
      config: {
        urls: [scheme === "ldap" ? server.ldapUrl : server.ldapsUrl],
        ca: server.caFile,
        bindDn: ldapPeople.reader.dn,
        bindPasswordFile: join(dir, "reader"),
        people: { base: ldapPeople.people, disabledFilter: "(shadowExpire=1)" },
        groups: { base: ldapPeople.groups, admins: ["berth-admins"] },
      },
      ownerOfKey: async (key) => owners.get(key),
      siteVolumes,
      closing,
      logger: silentLogger,
    });
    return {
      plugin,
      person: { name: "ada", password: "ada-secret", uid: 5001, key: "berth_ada_key" },
      other: { name: "ben", password: "ben-secret" },
      admin: { name: "grace" },
      disabled: { name: "dan", password: "dan-secret", key: "berth_dan_key" },
      volumes,
      async stop() {
        await closing.close();
        await server.stop();
        rmSync(dir, { recursive: true });
      },
    };
  });

const asRoot = process.getuid?.() === 0;

/** Users of a machine of their own: the machine's programs run where other files stand in for its passwd, group and shadow. */
if (asRoot)
  describeAuthPlugin("system", async (): Promise<ProviderUnderTest> => {
    const dir = mkdtempSync(join(tmpdir(), "berth-system-"));
    writeUsers(dir);
    const owners = new Map([
      ["berth_ada_key", "ada"],
      ["berth_dan_key", "dan"],
    ]);
    return {
      plugin: systemProvider({
        config: { admins: ["berth-admins"] },
        machine: thisMachine(runWith(dir)),
        ownerOfKey: async (key) => owners.get(key),
        siteVolumes,
        logger: silentLogger,
        now: () => performance.now(),
      }),
      person: { name: "ada", password: "ada-secret", uid: 5001, key: "berth_ada_key" },
      other: { name: "ben", password: "ben-secret" },
      admin: { name: "grace" },
      disabled: { name: "dan", password: "dan-secret", key: "berth_dan_key" },
      volumes,
      stop: async () => rmSync(dir, { recursive: true }),
    };
  });
