import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuthServiceService, Role } from "@berth/contracts/auth";
import { Closing, grpcChannel, grpcClient, internalAuthorization } from "@berth/runtime";
import type { GrpcClient } from "@berth/runtime";

const dir = mkdtempSync(join(tmpdir(), "berth-auth-"));
const secret = "0123456789abcdef0123456789abcdef";
const closing = new Closing();
const processes = new Set<ChildProcess>();

/** The service as it is run: its own process, started again on the same data where a test wants that. */
async function startAuth(
  env: Readonly<Record<string, string>> = {},
): Promise<{ auth: GrpcClient<AuthServiceService>; stop: () => Promise<void> }> {
  const ready = join(dir, "ready.json");
  rmSync(ready, { force: true });
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../../services/auth/src/main.ts")], {
    env: {
      PATH: process.env["PATH"],
      BERTH_LISTEN: `unix:${dir}/auth.sock`,
      BERTH_DATA_DIR: join(dir, "data"),
      BERTH_CLUSTER_SECRET: secret,
      BERTH_VOLUMES_FILE: join(dir, "volumes.json"),
      BERTH_READY_FILE: ready,
      ...env,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  processes.add(child);
  let said = "";
  for await (const chunk of child.stderr!) {
    said += String(chunk);
    if (said.includes('"message":"ready"')) break;
  }
  if (!said.includes('"message":"ready"')) throw new Error(`auth did not start: ${said}`);
  const auth = grpcClient(AuthServiceService, grpcChannel(`unix:${dir}/auth.sock`, { closing }), {
    service: "auth",
    idempotent: true,
    authorization: internalAuthorization(secret),
  });
  return {
    auth,
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
      processes.delete(child);
    },
  };
}

let auth: GrpcClient<AuthServiceService>;
let stop: () => Promise<void>;
const newUser = (name: string, uid = 0) => ({
  name,
  identity: { user: name, uid, gid: 0, groups: [] },
  role: Role.USER,
  home: "",
  email: "",
  disabled: false,
  createTime: undefined,
});

beforeAll(async () => {
  writeFileSync(
    join(dir, "volumes.json"),
    JSON.stringify([{ name: "licences", path: "/usr/share/common-licenses", mode: "ro" }]),
  );
  ({ auth, stop } = await startAuth());
});
afterAll(async () => {
  await closing.close();
  for (const child of processes) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

describe("the auth service with its local provider", () => {
  it("adds users with uids of its own, keeps no password, and logs in", async () => {
    const first = await auth.createUser({ first: undefined, user: newUser("anna"), password: "correct horse" });
    const second = await auth.createUser({ first: undefined, user: newUser("ben"), password: "" });
    expect(second.user!.identity!.uid).toBe(first.user!.identity!.uid + 1);
    expect(first.user!.identity!.uid).toBeGreaterThanOrEqual(20_000);
    await expect(auth.createUser({ first: undefined, user: newUser("anna"), password: "" })).rejects.toMatchObject({
      code: "conflict",
      reason: "USER_EXISTS",
    });
    await expect(
      auth.createUser({ first: undefined, user: newUser("carl", first.user!.identity!.uid), password: "" }),
    ).rejects.toMatchObject({ reason: "UID_TAKEN" });
    await expect(auth.createUser({ first: undefined, user: newUser("dora"), password: "short" })).rejects.toMatchObject(
      {
        code: "invalid",
        reason: "INVALID_PASSWORD",
      },
    );

    const { accessToken, user } = await auth.login({ address: "", user: "anna", password: "correct horse" });
    expect(user!.name).toBe("anna");
    const { jwksJson } = await auth.getKeySet({});
    const { payload } = await jwtVerify(accessToken, createLocalJWKSet(JSON.parse(jwksJson)), {
      issuer: "berth",
      audience: "berth",
      algorithms: ["EdDSA"],
    });
    expect(payload).toMatchObject({ sub: "anna", role: "user" });
    expect(payload.exp! - payload.iat!).toBe(900);
    for (const wrong of [
      { user: "anna", password: "wrong horse" },
      { user: "ben", password: "" },
      { user: "nobody", password: "nobody's password" },
    ]) {
      await expect(auth.login({ ...wrong, address: "" })).rejects.toMatchObject({
        code: "denied",
        reason: "BAD_CREDENTIALS",
      });
    }
    const stored = readFileSync(join(dir, "data/auth.db-wal"));
    expect(stored.includes("correct horse")).toBe(false);
    expect(stored.includes("$argon2id$v=19$m=19456,t=2,p=1$")).toBe(true);
  });

  it("shows an API key once, keeps its hash, and ends it when revoked or out of date", async () => {
    const { key, info } = await auth.createKey({ user: "anna", name: "laptop", ttlMs: 0, byKeyId: "" });
    expect(key).toMatch(new RegExp(`^berth_${info!.id}_[A-Za-z0-9_-]{43}$`));
    expect(readFileSync(join(dir, "data/auth.db-wal")).includes(key.slice(-43))).toBe(false);
    expect((await auth.exchangeKey({ key })).user!.name).toBe("anna");
    await expect(
      auth.exchangeKey({ key: `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}` }),
    ).rejects.toMatchObject({ reason: "BAD_KEY" });
    expect((await auth.listKeys({ user: "anna" })).keys).toEqual([info]);
    await expect(auth.revokeKey({ user: "ben", id: info!.id })).rejects.toMatchObject({
      code: "not-found",
      reason: "KEY_NOT_FOUND",
    });
    await auth.revokeKey({ user: "anna", id: info!.id });
    await expect(auth.exchangeKey({ key })).rejects.toMatchObject({ reason: "BAD_KEY" });

    const short = await auth.createKey({ user: "anna", name: "short", ttlMs: 1, byKeyId: "" });
    await expect
      .poll(() => auth.exchangeKey({ key: short.key }).catch((error: unknown) => error))
      .toMatchObject({ reason: "BAD_KEY" });
    await expect(auth.createKey({ user: "nobody", name: "x", ttlMs: 0, byKeyId: "" })).rejects.toMatchObject({
      code: "not-found",
      reason: "USER_NOT_FOUND",
    });
    await expect(auth.createKey({ user: "anna", name: "", ttlMs: 0, byKeyId: "" })).rejects.toMatchObject({
      reason: "INVALID_NAME",
    });
  });

  it("resolves volumes one by one, and reads the site's list again when it changes", async () => {
    const submit = (name: string) => ({ project: "default", image: "", volumes: [{ name, readOnly: false }] });
    const { identity, results } = await auth.resolveSubmits({
      user: "anna",
      submits: [submit("licences"), submit("secrets")],
    });
    expect(identity!.user).toBe("anna");
    expect(results[0]!.mounts).toEqual([
      { name: "licences", source: "/usr/share/common-licenses", target: "/mnt/licences", readOnly: true },
    ]);
    expect(results[1]!.failure).toMatchObject({
      code: "invalid",
      reason: "UNKNOWN_VOLUME",
      metadata: { volume: "secrets", allowed: "licences" },
    });

    writeFileSync(
      join(dir, "volumes.json"),
      JSON.stringify([{ name: "scratch", path: "/scratch/$USER", mount: "/scratch", mode: "rw" }]),
    );
    expect((await auth.listVolumes({ user: "anna" })).volumes.map((v) => v.source)).toEqual(["/scratch/anna"]);
    writeFileSync(join(dir, "volumes.json"), "[{}]");
    expect((await auth.listVolumes({ user: "anna" })).volumes).toHaveLength(1);
  });

  it("keeps its users, keys and signing key over a restart, the signing key for its owner only", async () => {
    const { key } = await auth.createKey({ user: "ben", name: "kept", ttlMs: 0, byKeyId: "" });
    const before = await auth.getKeySet({});
    writeFileSync(join(dir, "volumes.json"), "[]");
    await stop();
    ({ auth, stop } = await startAuth());
    expect(await auth.getKeySet({})).toEqual(before);
    expect((await auth.exchangeKey({ key })).user!.name).toBe("ben");
    expect(statSync(join(dir, "data/token-key.pem")).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "data")).mode & 0o777).toBe(0o700);
  });

  it("makes no key that outlives its maker, and no token either", async () => {
    const maker = await auth.createKey({ user: "anna", name: "short", ttlMs: 60_000, byKeyId: "" });
    const byKeyId = maker.info!.id;
    for (const ttlMs of [0, 120_000])
      await expect(auth.createKey({ user: "anna", name: "long", ttlMs, byKeyId })).rejects.toMatchObject({
        code: "denied",
        reason: "KEY_OUTLIVES_MAKER",
      });
    const { info } = await auth.createKey({ user: "anna", name: "shorter", ttlMs: 1_000, byKeyId });
    expect(info!.expireTime!.getTime()).toBeLessThan(maker.info!.expireTime!.getTime());
    const { expireTime } = await auth.exchangeKey({ key: maker.key });
    expect(expireTime!.getTime()).toBeLessThanOrEqual(maker.info!.expireTime!.getTime());
    await auth.revokeKey({ user: "anna", id: byKeyId });
    await expect(auth.createKey({ user: "anna", name: "late", ttlMs: 1, byKeyId })).rejects.toMatchObject({
      reason: "SESSION_ENDED",
    });
  });

  it("ends sessions with their key, or where their user is disabled, and lets an enabled one go on", async () => {
    const { key, info } = await auth.createKey({ user: "anna", name: "session", ttlMs: 0, byKeyId: "" });
    const ended = { code: "denied", reason: "SESSION_ENDED" };
    expect((await auth.checkSession({ user: "anna", keyId: info!.id })).user!.name).toBe("anna");
    await expect(auth.checkSession({ user: "ben", keyId: info!.id })).rejects.toMatchObject(ended);
    const { user } = await auth.setUserDisabled({ user: "anna", disabled: true, by: "a test" });
    expect(user!.disabled).toBe(true);
    await expect(auth.checkSession({ user: "anna", keyId: "" })).rejects.toMatchObject(ended);
    await expect(auth.exchangeKey({ key })).rejects.toMatchObject({ reason: "BAD_KEY" });
    await expect(auth.login({ user: "anna", password: "correct horse", address: "" })).rejects.toMatchObject({
      reason: "BAD_CREDENTIALS",
    });
    const submit = { project: "default", image: "", volumes: [] };
    const { results } = await auth.resolveSubmits({ user: "anna", submits: [submit] });
    expect(results[0]!.failure).toMatchObject({ code: "denied", reason: "MAY_NOT_RUN" });
    await auth.setUserDisabled({ user: "anna", disabled: false, by: "a test" });
    await auth.checkSession({ user: "anna", keyId: info!.id });
    await auth.revokeKey({ user: "anna", id: info!.id });
    await expect(auth.checkSession({ user: "anna", keyId: info!.id })).rejects.toMatchObject(ended);
  });

  it("makes a first admin once, and another one for who may write to its data", async () => {
    const admin = (name: string) => ({ ...newUser(name), role: Role.ADMIN });
    await auth.createUser({ user: admin("first"), password: "", first: { rescue: "" } });
    await expect(auth.setUserDisabled({ user: "first", disabled: true, by: "a test" })).rejects.toMatchObject({
      reason: "LAST_ADMIN",
    });
    const another = (rescue: string) => auth.createUser({ user: admin("second"), password: "", first: { rescue } });
    const proof = `rescue-${"0".repeat(32)}`;
    for (const rescue of ["", proof, "../ready.json", "auth.db"])
      await expect(another(rescue)).rejects.toMatchObject({ code: "precondition", reason: "ADMIN_EXISTS" });
    writeFileSync(join(dir, "data", proof), "");
    expect((await another(proof)).user!.name).toBe("second");
    expect(existsSync(join(dir, "data", proof))).toBe(false);
    expect(existsSync(join(dir, "data/auth.db"))).toBe(true);
  });

  it("looks at few guesses of a password, and lets others log in meanwhile", async () => {
    await auth.createUser({ user: newUser("dan"), password: "correct horse", first: undefined });
    const guess = (n: number) =>
      auth.login({ user: "anna", password: `guess number ${n}`, address: "10.0.0.1" }).then(
        () => "in",
        (error: { reason: string }) => error.reason,
      );
    const answers = Promise.all(Array.from({ length: 400 }, (_, n) => guess(n)));
    const begun = performance.now();
    const { user } = await auth.login({ user: "dan", password: "correct horse", address: "10.0.0.1" });
    expect(user!.name).toBe("dan");
    expect(performance.now() - begun).toBeLessThan(1_000);
    const counts = Map.groupBy(await answers, (answer) => answer);
    expect(counts.get("BAD_CREDENTIALS")!.length).toBeLessThanOrEqual(6);
    expect(counts.get("TOO_MANY_LOGINS")!.length).toBeGreaterThanOrEqual(394);
  });

  it("answers nobody without the cluster's secret", async () => {
    const stranger = grpcClient(AuthServiceService, grpcChannel(`unix:${dir}/auth.sock`, { closing }), {
      service: "auth",
      idempotent: true,
      authorization: internalAuthorization("another-secret-of-32-characters!"),
    });
    await expect(stranger.getUser({ user: "anna" })).rejects.toMatchObject({
      code: "unauthenticated",
      reason: "CLUSTER_SECRET",
    });
    await stop();
  });

  it("takes users of a site's own provider, with Berth's keys, and adds none to it", async () => {
    const module = join(dir, "site.mjs");
    writeFileSync(
      module,
      `const lin = { name: "lin", uid: 3000, gid: 3000, groups: [], role: "user", home: "", email: "", disabled: false, createdAt: new Date(0) };
      export const authPlugin = ({ config, ownerOfKey }) => {
        const getUser = async (name) => (name === "lin" ? lin : undefined);
        return {
          getName: () => config.name, getUser, getVolumes: async () => [], getQuotas: async () => ({}), canRun: async () => true,
          bindCredentials: async (name, password) => (password === "of the site" ? getUser(name) : undefined),
          bindApi: async (key) => getUser(await ownerOfKey(key)),
        };
      };`,
    );
    const site = await startAuth({ BERTH_AUTH_PROVIDER: module, BERTH_AUTH_PROVIDER_CONFIG: '{"name": "site"}' });
    const { user } = await site.auth.login({ user: "lin", password: "of the site", address: "" });
    expect(user).toMatchObject({ name: "lin", identity: { uid: 3000 } });
    const { key, info } = await site.auth.createKey({ user: "lin", name: "laptop", ttlMs: 0, byKeyId: "" });
    expect((await site.auth.exchangeKey({ key })).user!.name).toBe("lin");
    expect((await site.auth.checkSession({ user: "lin", keyId: info!.id })).user!.name).toBe("lin");
    for (const change of [
      () => site.auth.createUser({ user: newUser("mia"), password: "", first: undefined }),
      () => site.auth.setUserDisabled({ user: "lin", disabled: true, by: "a test" }),
    ])
      await expect(change()).rejects.toMatchObject({ code: "precondition", reason: "USERS_ELSEWHERE" });
    await site.stop();
  });
});
