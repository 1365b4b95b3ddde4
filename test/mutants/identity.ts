import type { Mutant } from "./mutants.ts";

const ldapTests = ["test/integration/auth/ldap.test.ts"];
const pluginTests = ["test/contract/auth-plugin.test.ts"];

/** Of providers that know people by other means than Berth's own accounts. */
export const identityMutants: readonly Mutant[] = [
  {
    name: "directory-trusts-any-certificate",
    what: "the certificate of a directory is not looked at",
    file: "services/auth/src/adapters/ldap/directory.ts",
    find: "rejectUnauthorized: true",
    replace: "rejectUnauthorized: false",
    tests: ldapTests,
  },
  {
    name: "directory-lets-empty-passwords-in",
    what: "an empty password is sent to the directory, which takes it for an anonymous visit",
    file: "services/auth/src/adapters/ldap/directory.ts",
    find: `if (password === "") return false;`,
    replace: "",
    tests: pluginTests,
  },
  {
    name: "directory-makes-root",
    what: "a person of the directory may have uid or gid 0",
    file: "services/auth/src/domain/directory-user.ts",
    find: "return id > 0 && id <= largestId ? id : undefined;",
    replace: "return id <= largestId ? id : undefined;",
    tests: ["services/auth/src/domain"],
  },
  {
    name: "directory-takes-one-of-two",
    what: "of several people with one login name, one is let in",
    file: "services/auth/src/adapters/ldap/directory.ts",
    find: "return searchEntries.length > most ? undefined : searchEntries;",
    replace: "return searchEntries;",
    tests: ldapTests,
  },
  {
    name: "guesses-by-spelling",
    what: "each way to write a name has wrong passwords of its own",
    file: "services/auth/src/adapters/grpc/auth-service.ts",
    find: "guard.begin(name.trim().toLowerCase(), address",
    replace: "guard.begin(name, address",
    tests: ldapTests,
  },
  {
    name: "directory-answers-for-ever",
    what: "what the directory said of a person counts without an end",
    file: "services/auth/src/adapters/ldap/ldap-provider.ts",
    find: "new Cache<AuthUser | undefined>({ ttlMs: settings.cacheMs,",
    replace: "new Cache<AuthUser | undefined>({ ttlMs: Infinity,",
    tests: ldapTests,
  },
  {
    name: "system-users-log-in",
    what: "users of the system itself are users here",
    file: "services/auth/src/adapters/system/system-provider.ts",
    find: " || Number(fields[2]) < minUid",
    replace: "",
    tests: ["test/integration/auth/system.test.ts"],
  },
  {
    name: "expired-accounts-log-in",
    what: "the end of an account is not looked at",
    file: "services/auth/src/adapters/system/system-provider.ts",
    find: "noShell.test(shell) || (await machine.isExpired(name))",
    replace: "noShell.test(shell)",
    tests: pluginTests,
  },
];
