import type { LdapOptions } from "./ldap-server.ts";

const suffix = "dc=lab,dc=example";

/** People of the tests' directory; each one's password is their name, a dash and `secret`. */
export const ldapPeople = {
  suffix,
  people: `ou=people,${suffix}`,
  groups: `ou=groups,${suffix}`,
  reader: { dn: `cn=reader,${suffix}`, password: "reader-secret" },
} as const;

/** A person as an entry. */
export const ldapPerson = (name: string, uid: number, more = ""): string => `dn: uid=${name},ou=people,${suffix}
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: shadowAccount
uid: ${name}
cn: ${name}
sn: ${name}
uidNumber: ${uid}
gidNumber: ${uid === 0 ? 0 : 5000}
homeDirectory: /home/${name}
mail: ${name}@lab.example
userPassword: ${name}-secret
${more}
`;

const group = (name: string, gid: number, ...members: string[]): string => `dn: cn=${name},ou=groups,${suffix}
objectClass: posixGroup
cn: ${name}
gidNumber: ${gid}
${members.map((member) => `memberUid: ${member}\n`).join("")}
`;

/** What the server begins with: ada, ben, an admin (grace), one who left (dan), and a person with uid 0 (zoe). */
export const ldapOptions = (dir: string): LdapOptions => ({
  dir,
  suffix,
  rootDn: `cn=root,${suffix}`,
  rootPassword: "root-secret",
  ldif: `dn: ${suffix}
objectClass: dcObject
objectClass: organization
o: lab
dc: lab

dn: ou=people,${suffix}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${suffix}
objectClass: organizationalUnit
ou: groups

dn: cn=reader,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reader-secret

${ldapPerson("ada", 5001)}
${ldapPerson("ben", 5002)}
${ldapPerson("grace", 5003)}
${ldapPerson("dan", 5004, "shadowExpire: 1\n")}
${ldapPerson("zoe", 0)}
${group("genomics", 6001, "ada", "ben")}
${group("wheel", 0, "ada")}
${group("berth-admins", 6002, "grace")}
`,
});
