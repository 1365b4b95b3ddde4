import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLdap } from "@berth/auth";
import { AuthServiceService, Role } from "@berth/contracts/auth";
import type { AuthPlugin } from "@berth/plugins";
import { Closing, grpcChannel, grpcClient, internalAuthorization, silentLogger } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";
import { ldapOptions, ldapPeople, ldapPerson, startLdap, startProxy } from "@berth/test-support";
import type { LdapServer, Proxy } from "@berth/test-support";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "berth-ldap-"));
const secret = "0123456789abcdef0123456789abcdef";
const closing = new Closing();
const children = new Set<ChildProcess>();
const proxies: Proxy[] = [];
let server: LdapServer;

const settings = (url: string, more: object = {}) => ({
  urls: [url],
  ca: server.caFile,
  bindDn: ldapPeople.reader.dn,
  bindPasswordFile: join(dir, "reader"),
  people: { base: ldapPeople.people, disabledFilter: "(shadowExpire=1)" },
  groups: { base: ldapPeople.groups, admins: ["berth-admins"] },
  cacheMs: 200,
  timeoutMs: 2_000,
  ...more,
});

const provider = (config: object): AuthPlugin =>
  openLdap({
    config: { ...config },
    ownerOfKey: async () => undefined,
    siteVolumes: () => [],
    closing,
    logger: silentLogger,
  });

/** The auth service as it is run, with `ldap` as its provider. */
async function startAuth(config: object): Promise<GrpcClient<AuthServiceService>> {
  writeFileSync(join(dir, "ldap.json"), JSON.stringify(config));
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../../services/auth/src/main.ts")], {
    env: {
      PATH: process.env["PATH"],
      BERTH_LISTEN: `unix:${dir}/auth.sock`,
      BERTH_DATA_DIR: join(dir, "data"),
      BERTH_CLUSTER_SECRET: secret,
      BERTH_AUTH_PROVIDER: "ldap",
      BERTH_AUTH_PROVIDER_CONFIG_FILE: join(dir, "ldap.json"),
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.add(child);
  let said = "";
  for await (const chunk of child.stderr!) if ((said += String(chunk)).includes('"message":"ready"')) break;
  child.stderr!.resume();
  if (!said.includes('"message":"ready"')) throw new Error(`auth did not start: ${said}`);
  return grpcClient(AuthServiceService, grpcChannel(`unix:${dir}/auth.sock`, { closing }), {
    service: "auth",
    authorization: internalAuthorization(secret),
  });
}

/** A way to the directory that keeps what clients send. */
async function overheard(
  url: string,
): Promise<{ url: string; heard: () => string; cutAll: () => void; connections: () => number }> {
  const bytes: Buffer[] = [];
  const clients = new Set<{ destroy(): void }>();
  const proxy = await startProxy(
    { host: "127.0.0.1", port: Number(new URL(url).port) },
    { host: "127.0.0.1", port: 0 },
    (client, upstream) => {
      clients.add(client);
      client.on("data", (chunk: Buffer) => bytes.push(chunk));
      client.pipe(upstream);
      upstream.pipe(client);
    },
  );
  proxies.push(proxy);
  return {
    url: `${new URL(url).protocol}//127.0.0.1:${proxy.port}`,
    heard: () => Buffer.concat(bytes).toString("latin1"),
    connections: () => clients.size,
    cutAll: () => clients.forEach((client) => client.destroy()),
  };
}

beforeAll(async () => {
  server = await startLdap(ldapOptions(join(dir, "slapd")));
  writeFileSync(join(dir, "reader"), ldapPeople.reader.password, { mode: 0o600 });
});
afterAll(async () => {
  await closing.close();
  for (const child of children) child.kill("SIGKILL");
  for (const proxy of proxies) await proxy.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("the auth service with people of an LDAP directory", () => {
  let auth: GrpcClient<AuthServiceService>;
  beforeAll(async () => {
    auth = await startAuth(settings(server.ldapUrl));
  });

  it("logs in by name or by mail address, with groups and roles of the directory", async () => {
    const byName = await auth.login({ user: "ada", password: "ada-secret", address: "" });
    const byMail = await auth.login({ user: "ada@lab.example", password: "ada-secret", address: "" });
    expect(byMail.user).toEqual(byName.user);
    expect(byName.user).toMatchObject({
      name: "ada",
      // Not group 0, of which the directory has ada as a member.
      identity: { uid: 5001, gid: 5000, groups: [6001] },
      role: Role.USER,
      home: "/home/ada",
      email: "ada@lab.example",
    });
    expect((await auth.login({ user: "grace", password: "grace-secret", address: "" })).user!.role).toBe(Role.ADMIN);
    const { key } = await auth.createKey({ user: "ada", name: "laptop", ttlMs: 0, byKeyId: "" });
    expect((await auth.exchangeKey({ key })).user!.name).toBe("ada");
  });

  it("leaves the keeping of people to the directory", async () => {
    const elsewhere = { code: "precondition", reason: "USERS_ELSEWHERE" };
    await expect(auth.createUser({ user: undefined, password: "", first: undefined })).rejects.toMatchObject(elsewhere);
    await expect(auth.setUserDisabled({ user: "ada", disabled: true, by: "grace" })).rejects.toMatchObject(elsewhere);
  });

  it("counts guesses at one account, however its name is written", async () => {
    const spellings = ["ben", "BEN", " ben", "Ben ", "bEn", "beN", "BEn", "  ben"];
    const answers = await Promise.all(
      spellings.map((user) =>
        auth.login({ user, password: "wrong", address: "" }).catch((error: { reason: string }) => error.reason),
      ),
    );
    expect(answers).toContain("TOO_MANY_LOGINS");
  });

  it("ends sessions of somebody who left within the time that answers count", async () => {
    await auth.checkSession({ user: "ada", keyId: "" });
    server.modify(`dn: uid=ada,${ldapPeople.people}\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 1\n`);
    await expect
      .poll(() => auth.checkSession({ user: "ada", keyId: "" }).catch((error: unknown) => error), { timeout: 3_000 })
      .toMatchObject({ code: "denied", reason: "SESSION_ENDED" });
    const { results } = await auth.resolveSubmits({
      user: "ada",
      submits: [{ project: "", volumes: [], image: "" }],
    });
    expect(results[0]!.failure).toMatchObject({ reason: "MAY_NOT_RUN" });
    const among = ["ada", "ben", "never-there"];
    expect((await auth.listDisabledUsers({ among })).users).toEqual(["ada", "dan", "never-there"]);
    server.modify(`dn: uid=ada,${ldapPeople.people}\nchangetype: modify\ndelete: shadowExpire\n`);
  });

  it("says that the directory is away, and goes on when it is back", async () => {
    await server.stop();
    // Nobody's password was judged, so none of these counts as a wrong one.
    for (let n = 0; n < 10; n += 1)
      await expect(auth.login({ user: "ada", password: "ada-secret", address: "" })).rejects.toMatchObject({
        code: "unavailable",
        reason: "LDAP_AWAY",
      });
    await server.start();
    await expect
      .poll(() => auth.login({ user: "ada", password: "ada-secret", address: "" }).then(({ user }) => user!.name))
      .toBe("ada");
  });
});

describe("the way to an LDAP directory", () => {
  it("never carries a password in plain text, also when connections are cut", async () => {
    const way = await overheard(server.ldapUrl);
    const plugin = provider(settings(way.url));
    expect((await plugin.bindCredentials("ada", "ada-secret"))!.name).toBe("ada");
    for (let round = 0; round < 10; round += 1) {
      const logins = Promise.allSettled(Array.from({ length: 8 }, () => plugin.bindCredentials("ada", "ada-secret")));
      await new Promise((resolve) => setTimeout(resolve, round * 2));
      way.cutAll();
      await logins;
    }
    expect((await plugin.bindCredentials("ada", "ada-secret"))!.name).toBe("ada");
    // Of people and passwords nothing; the request for StartTLS itself, by its number.
    expect(way.heard()).toContain("1.3.6.1.4.1.1466.20037");
    for (const word of ["ada-secret", "reader-secret", "uid=ada", "cn=reader"]) expect(way.heard()).not.toContain(word);
  });

  it.each(["ldap", "ldaps"])("is not taken to a server of another authority (%s)", async (scheme) => {
    const way = await overheard(scheme === "ldap" ? server.ldapUrl : server.ldapsUrl);
    const { ca, ...others } = settings(way.url);
    expect(ca).toBeDefined();
    await expect(provider(others).bindCredentials("ada", "ada-secret")).rejects.toMatchObject({
      code: "unavailable",
      reason: "LDAP_AWAY",
      message: expect.stringContaining("certificate") as string,
    });
    expect(way.heard()).not.toContain("ada");
  });

  it("is one connection for searches that come together, and another one when that has ended", async () => {
    const way = await overheard(server.ldapUrl);
    const plugin = provider(settings(way.url, { cacheMs: 0 }));
    const names = ["ada", "ben", "grace", "dan", "nobody-here"];
    await Promise.all(names.map((name) => plugin.getUser(name)));
    expect(way.connections()).toBe(1);
    way.cutAll();
    await expect.poll(() => plugin.getUser("grace").then((user) => user!.name)).toBe("grace");
    await Promise.all(names.map((name) => plugin.getUser(name)));
    expect(way.connections()).toBe(2);
  });

  it("goes to the next server where one does not answer", async () => {
    const plugin = provider({ ...settings(server.ldapUrl), urls: ["ldap://127.0.0.1:1", server.ldapUrl] });
    expect((await plugin.getUser("ada"))!.name).toBe("ada");
  });

  it("ends in time where a server takes the connection and says nothing", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const plugin = provider(settings(`ldap://127.0.0.1:${port}`, { timeoutMs: 300 }));
    await expect(plugin.getUser("ada")).rejects.toMatchObject({ code: "unavailable", reason: "LDAP_AWAY" });
    silent.close();
  });
});

describe("people of a directory", () => {
  it("with uid 0, or who share a login name, are nobody here", async () => {
    const plugin = provider(settings(server.ldapUrl));
    expect(await plugin.bindCredentials("zoe", "zoe-secret")).toBeUndefined();
    expect(await plugin.getUser("zoe")).toBeUndefined();
    server.modify(
      ["eva", "eve"]
        .map((name, n) => ldapPerson(name, 5010 + n, "mail: both@lab.example").replace("\n", "\nchangetype: add\n"))
        .join("\n"),
    );
    expect((await plugin.bindCredentials("eve", "eve-secret"))!.name).toBe("eve");
    for (const password of ["eva-secret", "eve-secret"])
      expect(await plugin.bindCredentials("both@lab.example", password)).toBeUndefined();
    const third = ldapPerson("evi", 5012, "mail: both@lab.example").replace("\n", "\nchangetype: add\n");
    server.modify(third); // more than the search asks for
    expect(await plugin.bindCredentials("both@lab.example", "evi-secret")).toBeUndefined();
    expect((await plugin.bindCredentials("evi", "evi-secret"))!.name).toBe("evi");
  });

  it("may use Berth only as members of the site's groups, where it names some", async () => {
    const config = settings(server.ldapUrl);
    const plugin = provider({ ...config, groups: { ...config.groups, mayUse: ["genomics"] } });
    expect((await plugin.bindCredentials("ada", "ada-secret"))!.name).toBe("ada");
    expect(await plugin.bindCredentials("grace", "grace-secret")).toBeUndefined();
    expect((await plugin.getUser("grace"))!.disabled).toBe(true);
  });
});

describe("settings of the provider ldap", () => {
  it.each([
    ["urls", { urls: [] }],
    ["urls.0", { urls: ["http://127.0.0.1"] }],
    ["plainText", { urls: ["ldap://directory.example"], plainText: true }],
    ["bindPasswordFile", { bindDn: "cn=x,dc=y", bindPasswordFile: undefined }],
    ["bindPasswordFile", { bindPasswordFile: "/nowhere" }],
    ["ca", { ca: "/nowhere" }],
    ["people.filter", { people: { base: "dc=x", filter: "objectClass=*" } }],
    ["Unrecognized key", { peple: {} }],
  ])("that are wrong are named: %s", (fault, more) => {
    expect(() => provider(settings("ldap://127.0.0.1:389", more))).toThrow(
      expect.objectContaining({ reason: "LDAP_SETTINGS", message: expect.stringContaining(fault) as string }),
    );
  });

  it("has a file of a password that others cannot read", () => {
    writeFileSync(join(dir, "open"), "x", { mode: 0o644 });
    expect(() => provider(settings("ldap://127.0.0.1:389", { bindPasswordFile: join(dir, "open") }))).toThrow(
      "chmod 600",
    );
  });
});
