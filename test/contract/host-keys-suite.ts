import { joinHosts } from "@berth/auth";
import type { HostAuthority, HostKeys, HostMembership } from "@berth/auth";
import { silentLogger } from "@berth/runtime";
import { describe, expect, it } from "vitest";

/** A database of its own for each test, opened as often as it is asked for: as copies do. */
export interface TestHostKeys {
  open(): Promise<HostKeys>;
  remove(): Promise<void>;
}

const start = 1_764_000_000_000;
const at = (ms: number): Date => new Date(start + ms);
const minute = 60_000;
/** How long a certificate of this suite lasts. */
const lifeMs = 10 * minute;
const fingerprint = "f".repeat(64);

/** Certifies by name only: what a real authority signs is looked at where there is one. A request's text is its key. */
const authority: HostAuthority = {
  certificatePem: "authority",
  fingerprint,
  keyHashOf: (csrPem) => Promise.resolve(csrPem),
  isBusKey: (busKey) => busKey.startsWith("bus of "),
  issue: (host, csrPem, _, now) =>
    Promise.resolve({
      certificatePem: `${host} has ${csrPem}`,
      busJwt: "",
      expiresAt: new Date(now.getTime() + lifeMs),
    }),
};

/** The contract of the HostKeys port, and of joining by it. An adapter joins by one call. */
export function describeHostKeys(name: string, make: () => Promise<TestHostKeys>): void {
  const test = (what: string, fn: (database: TestHostKeys) => Promise<void>) =>
    it(what, async () => {
      const database = await make();
      try {
        await fn(database);
      } finally {
        await database.remove();
      }
    });
  const key = (hash: string, host: string, notAfter = at(lifeMs)) => ({
    hash,
    host,
    busKey: `bus of ${hash}`,
    notAfter,
  });
  const joined = { code: "conflict", reason: "HOST_JOINED" };

  describe(`HostKeys on ${name}`, () => {
    test("keeps a token as it was made, for whoever opens it next", async ({ open }) => {
      const token = { hash: "t1", host: "Node_1", createdBy: "ada", expiresAt: at(minute) };
      await (await open()).addToken(token);
      const again = await open();
      expect(await again.token("t1")).toEqual(token);
      expect(await again.token("t2")).toBeUndefined();
    });

    test("gives a token to the first key that uses it, and to no other", async ({ open }) => {
      const keys = await open();
      await keys.addToken({ hash: "t1", host: "", createdBy: "ada", expiresAt: at(minute) });
      expect(await keys.useToken("t1", "k1")).toBe(true);
      const again = await open();
      expect(await again.useToken("t1", "k1")).toBe(true);
      expect(await again.useToken("t1", "k2")).toBe(false);
      expect(await again.useToken("unknown", "k1")).toBe(false);
    });

    test("gives a token to one of several keys that use it at once", async ({ open }) => {
      const copies = await Promise.all([open(), open()]);
      await copies[0]!.addToken({ hash: "t1", host: "", createdBy: "ada", expiresAt: at(minute) });
      const names = Array.from({ length: 10 }, (_, n) => `k${n}`);
      const used = await Promise.all(names.map((hash, n) => copies[n % 2]!.useToken("t1", hash)));
      expect(used.filter(Boolean)).toHaveLength(1);
      expect(await Promise.all(names.map((hash) => copies[0]!.useToken("t1", hash)))).toEqual(used);
    });

    test("keeps a key as it was added, and does not change it by adding it again", async ({ open }) => {
      const keys = await open();
      await keys.addKey(key("k1", "Node_1"));
      await keys.addKey({ ...key("k1", "Node_2", at(0)), busKey: "another" });
      expect(await (await open()).key("k1")).toEqual({ ...key("k1", "Node_1"), revokedAt: undefined });
      expect(await keys.key("k2")).toBeUndefined();
      await keys.addKey(key("k2", "Node_2"));
    });

    test("has one key for a host, also where two come at once; names differ by their case", async ({ open }) => {
      const copies = await Promise.all([open(), open()]);
      const added = await Promise.allSettled(
        Array.from({ length: 8 }, (_, n) => copies[n % 2]!.addKey(key(`k${n}`, "Node_1"))),
      );
      expect(added.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const one of added) if (one.status === "rejected") expect(one.reason).toMatchObject(joined);
      await expect(copies[0]!.addKey(key("late", "Node_1"))).rejects.toMatchObject({
        ...joined,
        metadata: { host_id: "Node_1" },
      });
      expect(await copies[1]!.key("late")).toBeUndefined();
      await copies[1]!.addKey(key("other", "node_1"));
    });

    test("puts the end of a certificate off, and never forward", async ({ open }) => {
      const keys = await open();
      await keys.addKey(key("k1", "Node_1", at(1_000)));
      const endOf = async () => (await (await open()).key("k1"))?.notAfter;
      await keys.extendKey("k1", at(3_000));
      expect(await endOf()).toEqual(at(3_000));
      await keys.extendKey("k1", at(2_000));
      expect(await endOf()).toEqual(at(3_000));
      await keys.extendKey("unknown", at(2_000));
      expect(await keys.key("unknown")).toBeUndefined();
    });

    test("revokes the keys of one host, except one, and remembers when it did first", async ({ open }) => {
      const keys = await open();
      await keys.addKey(key("k1", "Node_1"));
      await keys.addKey(key("k2", "Node_2"));
      expect(await keys.revoke("nobody", "", at(5))).toBe(false);
      expect(await keys.revoke("Node_1", "k1", at(5))).toBe(false);
      expect(await keys.revoked(at(0))).toEqual([]);

      expect(await keys.revoke("Node_1", "", at(5))).toBe(true);
      const again = await open();
      expect(await again.revoke("Node_1", "", at(9))).toBe(true); // whoever lost the answer hears it again
      expect(await again.key("k1")).toEqual({ ...key("k1", "Node_1"), revokedAt: at(5) });
      expect((await again.key("k2"))?.revokedAt).toBeUndefined();
      // Its name is free, and it has no way back itself.
      await again.addKey(key("k3", "Node_1"));
      await again.addKey(key("k1", "Node_1"));
      expect((await keys.key("k1"))?.revokedAt).toEqual(at(5));
      expect(await keys.revoke("Node_1", "k3", at(9))).toBe(true);
      expect((await keys.key("k3"))?.revokedAt).toBeUndefined();
    });

    test("lists what is revoked for as long as a certificate of it lasts", async ({ open }) => {
      const keys = await open();
      await keys.addKey(key("k2", "Node_2", at(2_000)));
      await keys.addKey(key("k1", "Node_1", at(1_000)));
      await keys.addKey(key("k3", "Node_3", at(3_000)));
      await keys.revoke("Node_1", "", at(5));
      await keys.revoke("Node_2", "", at(6));
      const hashes = async (ms: number) => (await (await open()).revoked(at(ms))).map(({ hash }) => hash);
      expect(await keys.revoked(at(1_500))).toEqual([{ ...key("k2", "Node_2", at(2_000)), revokedAt: at(6) }]);
      expect(await hashes(999)).toEqual(["k1", "k2"]);
      expect(await hashes(1_000)).toEqual(["k2"]);
      expect(await hashes(2_000)).toEqual([]);
      // A certificate that was being made meanwhile: it counts as revoked to its own end.
      await keys.extendKey("k1", at(9_000));
      expect(await hashes(2_000)).toEqual(["k1"]);
    });
  });

  describe(`joining by tokens, on ${name}`, () => {
    /** Some copies of auth on one database, and what time it is for them. */
    async function cluster(open: () => Promise<HostKeys>, copies = 1) {
      const clock = { ms: 0 };
      const told: number[] = [];
      const hosts = await Promise.all(
        Array.from({ length: copies }, async () =>
          joinHosts({
            keys: await open(),
            authority,
            onRevoked: async () => void told.push(clock.ms),
            now: () => at(clock.ms),
            logger: silentLogger,
          }),
        ),
      );
      return { clock, told, hosts, auth: hosts[0]! };
    }
    const tokenOf = async (auth: HostMembership, host = "", ttlMs = minute) =>
      (await auth.createToken({ host, ttlMs, by: "ada" })).token;
    const request = (key: string, token: string, host = "") => ({ token, host, csrPem: key, busKey: `bus of ${key}` });
    const badToken = { code: "denied", reason: "BAD_HOST_TOKEN" };
    const revoked = { code: "denied", reason: "HOST_REVOKED" };

    test("answers the machine that asks again, and no other one", async ({ open }) => {
      const { auth } = await cluster(open);
      const token = await tokenOf(auth);
      expect(token).toMatch(new RegExp(`^berth-join_${fingerprint}_`));
      const first = await auth.join(request("k1", token, "Node_1"));
      expect(first).toMatchObject({ host: "Node_1", certificatePem: "Node_1 has k1", expiresAt: at(lifeMs) });
      expect(await auth.join(request("k1", token, "Node_1"))).toEqual(first);
      await expect(auth.join(request("k2", token, "Node_2"))).rejects.toMatchObject(badToken);
      await expect(auth.join(request("k2", "", "Node_2"))).rejects.toMatchObject(badToken);
      await expect(auth.join({ ...request("k1", token), busKey: "bus of k2" })).rejects.toMatchObject({
        code: "invalid",
        message: expect.stringContaining("bus_key") as string,
      });
    });

    test("lets one of several machines in that show a token at once", async ({ open }) => {
      const { auth, hosts } = await cluster(open, 2);
      const token = await tokenOf(auth);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, (_, n) => hosts[n % 2]!.join(request(`k${n}`, token, `Node_${n}`))),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const one of outcomes) if (one.status === "rejected") expect(one.reason).toMatchObject(badToken);
    });

    test("gives one of two machines a name that both want; the other takes another by the same token", async ({
      open,
    }) => {
      const { auth, hosts } = await cluster(open, 2);
      const tokens = [await tokenOf(auth), await tokenOf(auth)];
      const outcomes = await Promise.allSettled(
        tokens.map((token, n) => hosts[n]!.join(request(`k${n}`, token, "Node_1"))),
      );
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
      const loser = outcomes.findIndex(({ status }) => status === "rejected");
      expect((outcomes[loser] as PromiseRejectedResult).reason).toMatchObject(joined);
      expect(await auth.join(request(`k${loser}`, tokens[loser]!, "Node_2"))).toMatchObject({ host: "Node_2" });
    });

    test("takes a token to its end and not after, and renews a host's certificate after it", async ({ open }) => {
      const { auth, clock } = await cluster(open);
      const [used, late] = [await tokenOf(auth), await tokenOf(auth)];
      clock.ms = minute - 1;
      await auth.join(request("k1", used, "Node_1"));
      clock.ms = minute;
      await expect(auth.join(request("k2", late, "Node_2"))).rejects.toMatchObject(badToken);
      expect(await auth.join(request("k1", ""))).toMatchObject({ host: "Node_1", expiresAt: at(minute + lifeMs) });
      // Off for longer than its certificate: it needs a token, and is the same host by it.
      clock.ms = minute + lifeMs;
      await expect(auth.join(request("k1", used, "Node_1"))).rejects.toMatchObject(badToken);
      expect(await auth.join(request("k1", await tokenOf(auth), "Node_1"))).toMatchObject({
        expiresAt: at(minute + 2 * lifeMs),
      });
    });

    test("puts a machine in another's place by a token for its name, whatever name it says", async ({ open }) => {
      const { auth, told } = await cluster(open);
      await auth.join(request("old", await tokenOf(auth), "Node_1"));
      const token = await tokenOf(auth, "Node_1");
      expect(told).toEqual([]);
      expect(await auth.join(request("new", token, "Node_9"))).toMatchObject({ host: "Node_1" });
      expect(told).toHaveLength(1);
      expect(await auth.revokedKeyHashes()).toEqual(["old"]);
      await expect(auth.join(request("old", ""))).rejects.toMatchObject(revoked);
      expect(await auth.join(request("new", token))).toMatchObject({ host: "Node_1" });
    });

    test("ends no host by a token that another host's key shows", async ({ open }) => {
      const { auth, told, clock } = await cluster(open);
      await auth.join(request("k2", await tokenOf(auth), "Node_2"));
      clock.ms = lifeMs;
      await auth.join(request("k1", await tokenOf(auth), "Node_1"));
      const token = await tokenOf(auth, "Node_1");
      await expect(auth.join(request("k2", token))).rejects.toMatchObject({
        code: "invalid",
        message: expect.stringContaining("Node_2") as string,
      });
      expect(told).toEqual([]);
      expect(await auth.join(request("k1", ""))).toMatchObject({ host: "Node_1" });
    });

    test("certifies nothing for a key that is revoked, not even by a new token", async ({ open }) => {
      const { auth, told, clock } = await cluster(open);
      const token = await tokenOf(auth);
      await auth.join(request("k1", token, "Node_1"));
      await expect(auth.revoke("Node_2", "ada")).rejects.toMatchObject({ reason: "HOST_NOT_FOUND" });
      expect(told).toEqual([]);
      clock.ms = 5;
      await auth.revoke("Node_1", "ada");
      expect(told).toEqual([5]);
      for (const shown of ["", token, await tokenOf(auth), await tokenOf(auth, "Node_1")])
        await expect(auth.join(request("k1", shown, "Node_1"))).rejects.toMatchObject(revoked);
      expect(await auth.revokedKeyHashes()).toEqual(["k1"]);
      clock.ms = lifeMs;
      expect(await auth.revokedKeyHashes()).toEqual([]);
      await expect(auth.join(request("k1", await tokenOf(auth), "Node_1"))).rejects.toMatchObject(revoked);
    });

    test("gives no certificate to a host that is revoked while it is made, and holds it for revoked", async ({
      open,
    }) => {
      const keys = await open();
      const { auth } = await cluster(open);
      const slow = joinHosts({
        keys,
        authority: {
          ...authority,
          async issue(...given) {
            await auth.revoke("Node_1", "ada");
            return authority.issue(...given);
          },
        },
        onRevoked: async () => {},
        now: () => at(0),
        logger: silentLogger,
      });
      await expect(slow.join(request("k1", await tokenOf(auth), "Node_1"))).rejects.toMatchObject(revoked);
      expect((await keys.revoked(at(lifeMs - 1))).map(({ hash }) => hash)).toEqual(["k1"]);
    });
  });
}
